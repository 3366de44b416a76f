// One service: how it is, who calls it, where its calls go as written and as happened, who answers.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

await visit(async (page) => {
  await page.keyboard.press("g");
  await page.keyboard.press("s");
  await page.locator("a.name", { hasText: /^cart$/ }).click();
  await page.waitForURL(/#\/service\/default\/cart$/);
  const section = (name) => page.locator("section").filter({ has: page.getByRole("heading", { name }) });
  for (const caller of ["web", "checkout"]) await section("Callers").getByRole("link", { name: caller, exact: true }).waitFor();
  await section("Callees").getByRole("link", { name: "catalog", exact: true }).waitFor();

  const routes = section("Routes");
  await routes.getByText("HTTPRoute default/cart rule 1 (canary)").waitFor();
  const share = (name) => routes.locator("tr").filter({ hasText: name }).innerText();
  assert.match(await share("cart-v1"), /90 %/);
  assert.match(await share("cart-v2"), /10 %/);

  const endpoints = await section("Endpoints").innerText();
  for (const part of ["cart-v1", "cart-v2", "✓ ready", "encrypted", "default/cart"]) assert.ok(endpoints.includes(part), `${part} is not in:\n${endpoints}`);
  await section("Who may call").getByText("strict").waitFor();
  await section("How its calls are made").getByText("connect timeout").waitFor();

  // Which past is told is a part of the address.
  await page.keyboard.press("1");
  await page.waitForURL(/#\/service\/default\/cart\?since=5m$/);
  for (const width of [400, 768]) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= width, `at ${width} it is ${wide} pixels wide`);
  }
});
