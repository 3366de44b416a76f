// The map of the shop: what stands out on it, what is chosen by pointer and keys, and the way back in time.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

await visit(async (page) => {
  const service = (name) => page.locator(`[data-service="default/${name}"]`);
  for (const name of ["visitors", "web", "checkout", "cart", "payments", "catalog", "store"]) await service(name).waitFor();

  // The denied call and the failing version are said, not only drawn.
  await page.getByRole("button", { name: /web may not call payments/ }).waitFor();
  const refused = page.locator('.label.refused[title^="web to payments"]');
  await refused.waitFor();
  await service("cart").getByText("cart-v2").waitFor();

  // An edge tells all of itself.
  await refused.click();
  const pane = page.getByRole("complementary");
  await pane.getByText("encrypted, both sides proven (mTLS)").waitFor();
  await pane.getByText("100 %", { exact: true }).waitFor();
  await pane.getByText("R003 no-allow-rule").waitFor();
  await pane.getByText("fault: caller").waitFor();
  await pane.getByRole("link", { name: /^why [0-9a-f]{8}$/ }).waitFor();
  await page.keyboard.press("Escape");
  await pane.waitFor({ state: "detached" });

  // A service leads to its neighbours and to its page.
  await service("cart").click();
  await pane.getByRole("heading", { name: "cart" }).waitFor();
  await pane.getByRole("button", { name: "checkout" }).click();
  await pane.getByRole("heading", { name: "checkout → cart" }).waitFor();
  await page.keyboard.press("Escape");
  await page.keyboard.press("ArrowDown");
  await pane.getByRole("heading", { name: "visitors" }).waitFor();
  await page.keyboard.press("ArrowDown");
  await pane.getByRole("heading", { name: "web" }).waitFor();
  await page.keyboard.press("Enter");
  await page.waitForURL(/#\/service\/default\/web$/);
  await page.goBack();

  // It moves under the mouse and grows by keys; who has moved it keeps what they see, whatever else becomes known.
  const place = () => service("web").boundingBox();
  await service("web").waitFor();
  await page.keyboard.press("+");
  const before = await place();
  await page.mouse.move(1100, 500);
  await page.mouse.down();
  await page.mouse.move(1000, 440, { steps: 4 });
  await page.mouse.up();
  const moved = await place();
  assert.ok(Math.abs(moved.x - before.x + 100) < 2 && Math.abs(moved.y - before.y + 60) < 2, "it follows the mouse");
  await page.keyboard.press("+");
  assert.ok((await place()).width > moved.width, "closer is larger");
  for (let i = 0; i < 5; i += 1) await page.keyboard.press("+");
  assert.notDeepEqual(await page.evaluate(cut_off), [], "so close that not all of it has room");
  await page.keyboard.press("0");
  assert.deepEqual(await page.evaluate(cut_off), [], "all of it is there again");

  // As a list it says the same.
  await page.keyboard.press("v");
  await page.getByRole("row", { name: /web payments .* 100 %/ }).waitFor();
  await page.keyboard.press("v");
  await service("web").waitFor();

  await page.setViewportSize({ width: 400, height: 800 });
  await service("cart").waitFor();
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= 400, `it is ${wide} pixels wide`);
});

/** Inside the page: the services that the map's window does not show whole. */
function cut_off() {
  const room = document.querySelector(".window").getBoundingClientRect();
  const is_inside = (box) => box.left >= room.left && box.right <= room.right && box.top >= room.top && box.bottom <= room.bottom;
  const services = [...document.querySelectorAll(".window [data-service]")];
  return services.filter((one) => !is_inside(one.getBoundingClientRect())).map((one) => one.dataset.service);
}
