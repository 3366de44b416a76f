// A call was denied: it is found by filters, and its story is read, step by step, at both proxies.
import { press_together, says, until, visit } from "./browser.mjs";

await visit(async (page) => {
  await press_together(page, "gc");
  await page.getByRole("heading", { name: "Calls" }).waitFor();
  await page.keyboard.press("i");
  await page.locator("input[name=from]:focus").waitFor();
  await page.getByRole("textbox", { name: "from" }).fill("web");
  await page.getByRole("textbox", { name: "code" }).fill("r003");
  await page.waitForURL(/#\/calls\?from=web&code=r003$/);
  await page.getByText("leno tap --last 200 --from web --code r003").waitFor();
  const rows = page.locator("tbody tr");
  await rows.first().waitFor();
  // What does not match goes as soon as the answer is there.
  await page.waitForFunction(() => [...document.querySelectorAll("tbody tr")].every((row) => row.textContent.includes("R003 no-allow-rule")));
  await page.getByRole("textbox", { name: "code" }).press("Tab");
  await page.keyboard.press("j");
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/call\/[0-9a-f]+$/);

  await page.getByText("403 R003 no-allow-rule").waitFor();
  for (const part of ["fault: caller", "answered by: proxy of payments"]) await page.getByText(part).waitFor();
  // A call is over for one proxy before it is for the other, and its story is asked for once.
  const hops = page.locator(".hops > li:not(.not-reached)");
  await until(
    () => "both proxies tell of it",
    async () => {
      await page.getByText("403 R003 no-allow-rule").waitFor();
      return (await hops.count()) === 2 || (await page.reload(), false);
    },
  );
  await says(hops.first(), "web", "✓", "name", "Service default/payments", "recorded");
  await says(hops.last(), "mTLS", "proven", "✗", "access", "no AccessPolicy allows it", "leno.yaml:");
  await page.getByText("leno explain R003").waitFor();

  // The address is enough to read the same again; one that nobody keeps says so.
  const address = page.url();
  await page.goto(address.replace(/call\/[0-9a-f]+/, "call/00000000000000000000000000000000"));
  await page.getByText("is not kept: the one proxy that was asked does not remember it").waitFor();
  await page.goto(address);
  await page.getByText("403 R003 no-allow-rule").waitFor();
});
