// Nobody answers for a while: the page says so, since when and what holds, shows what it knew, and goes on by itself.
import assert from "node:assert/strict";
import { visit } from "./browser.mjs";

await visit(
  async (page) => {
    const notice = page.getByRole("alert");
    const web = page.locator('[data-service="default/web"]');
    await web.waitFor();
    await page.route("**/ask", (route) => route.abort());
    await notice.getByText(/^The control plane does not answer since \d\d:\d\d:\d\d\.$/).waitFor();
    await notice.getByText("Proxies go on with what was in force.").waitFor();
    assert.ok(await web.isVisible(), "what was known stays");
    await page.unroute("**/ask");
    await notice.waitFor({ state: "detached" });
  },
  { expects: /ERR_FAILED/ },
);
