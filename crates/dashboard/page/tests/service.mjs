// One service: how it is, who calls it, where its calls go as written and as happened, who answers.
import { fits, press_together, says, visit } from "./browser.mjs";

await visit(async (page) => {
  await press_together(page, "gs");
  await page.locator("a.name", { hasText: /^cart$/ }).click();
  await page.waitForURL(/#\/service\/default\/cart$/);
  const section = (name) => page.locator("section").filter({ has: page.getByRole("heading", { name }) });
  for (const caller of ["web", "checkout"]) await section("Callers").getByRole("link", { name: caller, exact: true }).waitFor();
  await section("Callees").getByRole("link", { name: "catalog", exact: true }).waitFor();

  const routes = section("Routes");
  await routes.getByText("HTTPRoute default/cart rule 1 (canary)").waitFor();
  const share = (name) => routes.locator("tr").filter({ hasText: name });
  await says(share("cart-v1"), "90 %");
  await says(share("cart-v2"), "10 %");

  await says(section("Endpoints"), "cart-v1", "cart-v2", "✓ ready", "encrypted", "default/cart");
  await section("Who may call").getByText("strict").waitFor();
  await section("How its calls are made").getByText("connect timeout").waitFor();

  // Which past is told is a part of the address.
  await page.keyboard.press("1");
  await page.waitForURL(/#\/service\/default\/cart\?since=5m$/);
  for (const width of [400, 768]) await fits(page, width);
});
