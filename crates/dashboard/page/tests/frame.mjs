// What stands around every page: the way by keys, light and dark, and a narrow window.
import { fits, press_together, until, visit } from "./browser.mjs";

await visit(async (page) => {
  const current = page.locator("nav a[aria-current]");
  await page.getByText("shop.local").or(page.getByText("shop", { exact: true })).first().waitFor();
  for (const [keys, title] of [["gp", "Problems"], ["gs", "Services"], ["gc", "Calls"], ["gm", "Map"]]) {
    await press_together(page, keys);
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

  const ground = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await ground();
  await page.keyboard.press("d");
  await page.keyboard.press("d");
  await until(() => "dark is not light", async () => (await ground()) !== light);

  const shown = {
    gm: page.locator('[data-service="default/web"]'),
    gs: page.locator("a.name").first(),
    gc: page.locator("tbody tr").first(),
    gp: page.getByText(/\d+ checks passed/),
  };
  for (const [keys, what] of Object.entries(shown)) {
    await press_together(page, keys);
    await what.waitFor();
    await fits(page, 400);
  }
});
