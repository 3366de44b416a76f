// What stands around every page: the way by keys, light and dark, and a narrow window.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

await visit(async (page) => {
  const current = page.locator("nav a[aria-current]");
  await page.getByText("shop.local").or(page.getByText("shop", { exact: true })).first().waitFor();
  for (const [keys, title] of [["gp", "Problems"], ["gs", "Services"], ["gc", "Calls"], ["gm", "Map"]]) {
    for (const key of keys) await page.keyboard.press(key);
    await current.filter({ hasText: title }).waitFor();
  }

  await page.keyboard.press("?");
  await page.getByRole("dialog").getByText("search services and calls").waitFor();
  await page.keyboard.press("Escape");
  await page.getByRole("dialog").waitFor({ state: "detached" });

  await page.keyboard.press("/");
  await page.getByPlaceholder("A service, a call's id, a page").fill("checko");
  await page.getByRole("option", { name: "checkout" }).first().waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/service\/default\/checkout$/);
  await page.keyboard.press("g");
  await page.keyboard.press("m");

  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const seen = new Set([await ground()]);
  await page.keyboard.press("d");
  await page.keyboard.press("d");
  seen.add(await ground());
  assert.equal(seen.size, 2, "dark is not light");

  await page.setViewportSize({ width: 400, height: 800 });
  for (const key of ["m", "s", "c", "p"]) {
    await page.keyboard.press("g");
    await page.keyboard.press(key);
    await page.waitForTimeout(50);
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    assert.ok(wide <= 400, `with ${key} it is ${wide} pixels wide`);
  }
});
