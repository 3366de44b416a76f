// The way back in time: the handle of the timeline leads to a moment, and `l` back to now.
import { visit } from "./browser.mjs";

await visit(async (page) => {
  const handle = page.getByRole("slider", { name: "Moment that the map shows" });
  await page.locator('[data-service="default/web"]').waitFor();
  await page.waitForFunction(() => Number(document.querySelector("input[type=range]")?.max) > 1);
  await handle.focus();
  await page.keyboard.press("ArrowLeft");
  await page.waitForURL(/at=20/);
  await page.locator('[data-service="default/web"]').waitFor();
  await page.getByRole("button", { name: "live" }).last().click();
  await page.waitForURL((url) => !url.hash.includes("at="));
});
