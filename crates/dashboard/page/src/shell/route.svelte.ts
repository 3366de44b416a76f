// Where the page is, as its address says behind `#`: `#/service/shop/cart?since=30m`.

class Route {
  #hash = $state(location.hash);

  constructor() {
    addEventListener("hashchange", () => this.read());
  }

  read() {
    this.#hash = location.hash;
  }

  #url = $derived(new URL(this.#hash.replace(/^#\/?/, "/") || "/", "http://page"));
  /** `["service", "shop", "cart"]`. */
  parts = $derived(this.#url.pathname.split("/").filter(Boolean).map(read));
  query = $derived(this.#url.searchParams);
}

export const route = new Route();

/** The address of a page of ours. */
export function to(...parts: (string | number)[]): string {
  return `#/${parts.map((part) => encodeURIComponent(part)).join("/")}`;
}

/** The address of a service, given as `shop/cart`. */
export const to_service = (name: string) => to("service", ...name.split("/"));
/** The address of a call, given by its id. */
export const to_call = (id: string) => to("call", id);

/** The address of what differs between two revisions. */
export const to_difference = (from: number, to_revision: number) => `${to("changes")}?from=${from}&to=${to_revision}`;

export function go(address: string) {
  location.hash = address;
}

/** Changes what is asked of this page, without a step in the browser's history. */
export function ask_for(change: Record<string, string | null>) {
  const query = new URLSearchParams(route.query);
  for (const [name, value] of Object.entries(change)) {
    if (value === null) query.delete(name);
    else query.set(name, value);
  }
  const search = query.toString();
  const path = to(...route.parts);
  history.replaceState(null, "", search ? `${path}?${search}` : path);
  route.read();
}

function read(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
