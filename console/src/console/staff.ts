/** What every view has at hand: the login it calls the api with, and a voice for what was done. */

import { createContext } from "preact";
import { useContext } from "preact/hooks";

import type { Api, Schemas } from "../api/login";

export interface Staff {
  api: Api;
  user: Schemas["OwnUser"];
  /** Says what was done, on the screen and to screen readers. */
  say: (what: string) => void;
}

export const StaffContext = createContext<Staff | undefined>(undefined);

export function useStaff(): Staff {
  const staff = useContext(StaffContext);
  if (!staff) throw new Error("a view stands outside of the shell");
  return staff;
}
