/** Which view is shown, and with what filters: the page's address says it, so that a view can be sent to somebody. */

import { useEffect, useState } from "preact/hooks";

export interface Route {
  view: string;
  params: URLSearchParams;
}

function read(): Route {
  const [, , view = ""] = location.pathname.split("/");
  return { view, params: new URLSearchParams(location.search) };
}

/** The address of a view; empty filters are left out. */
export function address(view: string, filters: Record<string, string | undefined> = {}): string {
  const set = Object.entries(filters).filter((entry): entry is [string, string] => Boolean(entry[1]));
  const query = new URLSearchParams(set).toString();
  return `/console${view ? `/${view}` : ""}${query ? `?${query}` : ""}`;
}

export function go(to: string): void {
  history.pushState(null, "", to);
  dispatchEvent(new PopStateEvent("popstate"));
}

/** The route as it is now. */
export function useRoute(): Route {
  const [route, setRoute] = useState(read);
  useEffect(() => {
    const follow = () => setRoute(read());
    addEventListener("popstate", follow);
    return () => removeEventListener("popstate", follow);
  }, []);
  return route;
}

/** A filter that lives in the address. */
export function useFilters<K extends string>(view: string, names: readonly K[]) {
  const { params } = useRoute();
  const filters = Object.fromEntries(names.map((name) => [name, params.get(name) ?? ""])) as Record<K, string>;
  const set = (changed: Partial<Record<K, string>>) => go(address(view, { ...filters, ...changed }));
  return [filters, set] as const;
}

/** Follows a link without loading the page anew, where no key asks for a tab or window. */
export function follow(event: MouseEvent): void {
  const link = event.currentTarget as HTMLAnchorElement;
  if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
