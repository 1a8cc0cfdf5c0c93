/** What the page can't know by itself. */

import { createContext } from "preact";

export interface PageSettings {
  /** Where the simulator of Stripe shows its card pages; none with Stripe itself. */
  cardPages: string | null;
}

export const SettingsContext = createContext<PageSettings>({ cardPages: null });
