// Somebody has changed the mesh: what differs is told line by line, and is taken back after a question.
import { press_together, visit } from "./browser.mjs";

await visit(async (page) => {
  await press_together(page, "gh");
  await page.getByRole("heading", { name: "Changes" }).waitFor();
  await page.getByText("revision 2 is in force").waitFor();
  const lines = page.locator("pre .line");
  await lines.filter({ hasText: /^- .*cart-v2.*weight: 10}/ }).waitFor();
  await lines.filter({ hasText: /^\+ .*cart-v2.*weight: 0}/ }).waitFor();

  // What is shown is an address of its own.
  await page.getByRole("button", { name: /^1 / }).click();
  await page.waitForURL(/#\/changes\?from=0&to=1$/);
  await page.getByText("12 objects differ").waitFor();
  await page.keyboard.press("k");
  await page.waitForURL(/#\/changes\?from=1&to=2$/);

  await page.getByRole("button", { name: "Roll back to 1…" }).click();
  const question = page.getByRole("dialog", { name: "Roll back to revision 1?" });
  await question.getByText("This changes 1 object of revision 2").waitFor();
  await question.locator(".line").filter({ hasText: /^\+ .*cart-v2.*weight: 10}/ }).waitFor();
  await question.getByLabel("Why").fill("the canary is well");
  await question.getByRole("button", { name: "Roll back to 1" }).click();

  const done = page.getByRole("dialog", { name: "Rolled back to revision 1" });
  await done.getByText("Revision 3 is in force: 1 object changed.").waitFor();
  await done.getByText("leno rollback 2").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByText("revision 3 is in force").waitFor();
  await page.getByRole("button", { name: /rollback to 1.*the canary is well/ }).waitFor();
});
