// The map of the shop: what stands out on it, what is chosen by pointer and keys, and the way back in time.
import { fits, until, visit } from "./browser.mjs";

const SHOP = [
  ["visitors", "web"], ["web", "catalog"], ["web", "cart"], ["web", "checkout"], ["web", "payments"],
  ["checkout", "cart"], ["checkout", "payments"], ["cart", "catalog"], ["cart", "store"], ["catalog", "store"],
];

await visit(async (page) => {
  const service = (name) => page.locator(`[data-service="default/${name}"]`);
  await all_known(page);

  // The denied call is said, not only drawn.
  await page.getByRole("button", { name: /web may not call payments/ }).waitFor();
  const refused = page.locator('.label.refused[title^="web to payments"]');
  await refused.waitFor();

  // An edge tells all of itself.
  await refused.click();
  const pane = page.getByRole("complementary");
  await pane.getByText("encrypted, both sides proven (mTLS)").waitFor();
  await pane.getByText("100 %", { exact: true }).waitFor();
  const why = pane.getByRole("listitem").filter({ hasText: "R003 no-allow-rule" });
  await why.getByText("fault: caller").waitFor();
  await why.getByRole("link", { name: /^why [0-9a-f]{8}$/ }).waitFor();
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
  await pane.getByRole("heading", { name: "web" }).waitFor();
  await page.keyboard.press("Escape");
  await pane.waitFor({ state: "detached" });

  // It moves under the mouse and grows by keys; who has moved it keeps what they see, whatever else becomes known.
  // A key counts some time after it was pressed.
  const place = () => service("web").boundingBox();
  const closer = async () => {
    const { width } = await place();
    await page.keyboard.press("+");
    await until(() => `closer is larger than ${width}`, async () => (await place()).width > width);
  };
  await all_known(page);
  await page.keyboard.press("0");
  await closer();
  const before = await place();
  await page.mouse.move(1100, 500);
  await page.mouse.down();
  await page.mouse.move(1000, 440, { steps: 4 });
  await page.mouse.up();
  let moved = before;
  const is_near = (is, wanted) => Math.abs(is - wanted) < 2;
  await until(
    () => `it follows the mouse by 100 and 60: from ${JSON.stringify(before)} to ${JSON.stringify(moved)}`,
    async () => (moved = await place()) && is_near(moved.x, before.x - 100) && is_near(moved.y, before.y - 60),
  );
  let hidden = [];
  const hides = async () => (hidden = await page.evaluate(cut_off)).length > 0;
  for (let i = 0; i < 3; i += 1) await closer();
  await until(() => "so close that not all of it has room", hides);
  await page.keyboard.press("0");
  await until(() => `all of it is there again, but ${hidden}`, async () => !(await hides()));

  // As a list it says the same.
  await page.keyboard.press("v");
  await page.getByRole("row", { name: /web payments .* 100 %/ }).waitFor();
  await page.keyboard.press("v");
  await service("web").waitFor();

  await fits(page, 400);
  await service("cart").waitFor();
});

/**
 * Waits until the map has all that goes in the shop, and arranges it anew. Before that each call that is seen for the
 * first time may move what stands there.
 */
async function all_known(page) {
  for (const [from, to] of SHOP) await page.locator(`.label[title^="${from} to ${to}: "]`).waitFor();
  await page.locator('[data-service="default/cart"]').getByText("cart-v2").waitFor();
  await page.keyboard.press("a");
}

/** Inside the page: the services that the map's window does not show whole. */
function cut_off() {
  const room = document.querySelector(".window").getBoundingClientRect();
  const is_inside = (box) => box.left >= room.left && box.right <= room.right && box.top >= room.top && box.bottom <= room.bottom;
  const services = [...document.querySelectorAll(".window [data-service]")];
  return services.filter((one) => !is_inside(one.getBoundingClientRect())).map((one) => one.dataset.service);
}
