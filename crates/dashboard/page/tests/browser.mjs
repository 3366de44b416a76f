// A browser that visits the page and sees what a visitor sees. A visit fails where the page complains,
// fetches something from elsewhere, or does not show in time what is waited for.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { chromium } from "playwright-core";

const BROWSERS = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
/** Only a visit that fails waits for so long. */
const PATIENCE_MS = 90_000;

/**
 * Follows the link that the command line gives, in a window like this, and does what `does` says. What the browser
 * complains of is wrong, unless it is as `expects` says.
 */
export async function visit(does, { width = 1280, height = 800, dark = false, expects = /^$/ } = {}) {
  const link = process.argv[2];
  assert.ok(link, "say which link to follow");
  const browser = await start();
  try {
    const page = await browser.newPage({
      viewport: { width, height },
      colorScheme: dark ? "dark" : "light",
    });
    page.setDefaultTimeout(PATIENCE_MS);
    const wrong = listen(page, new URL(link).origin);
    await page.goto(link);
    await does(page);
    assert.deepEqual(wrong.filter((what) => !expects.test(what)), []);
  } finally {
    await browser.close();
  }
}

/** Asks until the answer is yes; if it stays no, what `wrong` says is why the visit fails. */
export async function until(wrong, ask) {
  const end = Date.now() + PATIENCE_MS;
  while (!(await ask())) {
    assert.ok(Date.now() < end, wrong());
    await new Promise((later) => setTimeout(later, 50));
  }
}

/** Presses keys that count together, however slow the machine is: as fast as nobody types. */
export function press_together(page, keys) {
  return page.evaluate((keys) => {
    for (const key of keys) {
      const at = document.activeElement ?? document.body;
      at.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true, cancelable: true }));
    }
  }, keys);
}

/** Waits until all of these stand in an element. */
export async function says(locator, ...parts) {
  let told = "";
  const missing = () => parts.filter((part) => !told.includes(part));
  await until(
    () => `${missing().join(", ")} is not in:\n${told}`,
    async () => {
      told = await locator.innerText();
      return missing().length === 0;
    },
  );
}

/** Makes the window this wide, and waits until nothing of the page is wider. */
export async function fits(page, width) {
  await page.setViewportSize({ width, height: 800 });
  let wide = 0;
  await until(
    () => `${page.url()} is ${wide} pixels wide in a window of ${width}`,
    async () => (wide = await page.evaluate(() => document.documentElement.scrollWidth)) <= width,
  );
}

/** A browser without a window. */
export function start() {
  const executablePath = BROWSERS.find((path) => existsSync(path));
  assert.ok(executablePath, `none of these is installed: ${BROWSERS.join(", ")}`);
  // Inside a container there is no sandbox to be had, and nothing but our own page is opened.
  return chromium.launch({ executablePath, args: ["--no-sandbox"] });
}

/** What the page complains of, and what it fetches from elsewhere, as it happens. */
function listen(page, origin) {
  const wrong = [];
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) wrong.push(message.text());
  });
  page.on("pageerror", (error) => wrong.push(String(error)));
  page.on("request", (request) => {
    if (!request.url().startsWith(`${origin}/`)) wrong.push(`it fetched ${request.url()}`);
  });
  return wrong;
}
