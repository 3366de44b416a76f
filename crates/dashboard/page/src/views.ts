// What there is to see, and where. A page of its own is one component and one line here.
import type { Component } from "svelte";
import Call from "./calls/Call.svelte";
import Calls from "./calls/Calls.svelte";
import Certificates from "./trust/Certificates.svelte";
import Changes from "./changes/Changes.svelte";
import Map from "./map/Map.svelte";
import Problems from "./pages/Problems.svelte";
import Service from "./service/Service.svelte";
import Services from "./service/Services.svelte";

export type View = {
  /** The first part of its address. */
  path: string;
  title: string;
  component: Component;
  /** The key that opens it after `g`; what has none stands in no navigation. */
  key?: string;
  /** The entry of the navigation that it belongs to, where that is another. */
  within?: string;
};

export const VIEWS: View[] = [
  { path: "map", title: "Map", key: "m", component: Map },
  { path: "services", title: "Services", key: "s", component: Services },
  { path: "service", title: "Service", component: Service, within: "services" },
  { path: "calls", title: "Calls", key: "c", component: Calls },
  { path: "call", title: "Call", component: Call, within: "calls" },
  { path: "problems", title: "Problems", key: "p", component: Problems },
  { path: "changes", title: "Changes", key: "h", component: Changes },
  { path: "certificates", title: "Certificates", key: "t", component: Certificates },
];

/** The view at an address; the first one where there is none of that name. */
export function view_at(parts: string[]): View {
  return VIEWS.find((view) => view.path === parts[0]) ?? (VIEWS[0] as View);
}
