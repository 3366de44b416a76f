// A call was denied: it is found by filters, and its story is read, step by step, at both proxies.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

await visit(async (page) => {
  await page.keyboard.press("g");
  await page.keyboard.press("c");
  await page.keyboard.press("i");
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
  const hops = page.locator(".hops > li");
  assert.equal(await hops.count(), 2, "both proxies tell");
  const [web, payments] = await hops.allInnerTexts();
  for (const part of ["web", "✓", "name", "Service default/payments", "recorded"]) assert.ok(web.includes(part), `${part} is not in:\n${web}`);
  for (const part of ["mTLS", "proven", "✗", "access", "no AccessPolicy allows it", "leno.yaml:"]) {
    assert.ok(payments.includes(part), `${part} is not in:\n${payments}`);
  }
  await page.getByText("leno explain R003").waitFor();

  // The address is enough to read the same again; one that nobody keeps says so.
  const address = page.url();
  await page.goto(address.replace(/call\/[0-9a-f]+/, "call/00000000000000000000000000000000"));
  await page.getByText("is not kept: the one proxy that was asked does not remember it").waitFor();
  await page.goto(address);
  await page.getByText("403 R003 no-allow-rule").waitFor();
});
