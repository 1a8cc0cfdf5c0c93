/** A table whose rows become cards where it is narrow. */

import type { ComponentChildren } from "preact";

import type { Pages } from "./hooks";
import { Problem } from "./parts";

export interface Column<T> {
  title: string;
  cell: (item: T) => ComponentChildren;
  isNumber?: boolean;
}

/** Roles are said again, for styles that change `display` take them away. */
export function Table<T>({ caption, columns, items, keyOf }: {
  caption: string;
  columns: Column<T>[];
  items: T[];
  keyOf: (item: T) => string;
}) {
  return (
    <table role="table">
      <caption>{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ title, isNumber }) => (
            <th key={title} role="columnheader" scope="col" class={isNumber ? "number" : undefined}>{title}</th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {items.map((item) => (
          <tr key={keyOf(item)} role="row">
            {columns.map(({ title, cell, isNumber }) => (
              <td key={title} role="cell" data-title={title} class={isNumber ? "number" : undefined}>{cell(item)}</td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** A list that is loaded page by page. */
export function PagedTable<T>({ caption, columns, pages, keyOf, none }: {
  caption: string;
  columns: Column<T>[];
  pages: Pages<T>;
  keyOf: (item: T) => string;
  /** What to say of an empty list. */
  none: string;
}) {
  const { items, failure, isLoading, more } = pages;
  return (
    <section class="panel" aria-label={caption} aria-busy={isLoading}>
      {items.length > 0
        ? <Table caption={caption} columns={columns} items={items} keyOf={keyOf} />
        : !failure && <p class="empty">{isLoading ? "Loading…" : none}</p>}
      <Problem failure={failure} />
      <footer>
        {more && <button type="button" disabled={isLoading} onClick={() => void more()}>Show more</button>}
        <p class="visually-hidden" role="status">{isLoading ? "" : `${items.length} shown`}</p>
      </footer>
    </section>
  );
}
