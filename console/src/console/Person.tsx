/** Somebody by their id: lists have no more of people. The link finds them. */

import { shortId } from "../ui/format";
import { address, follow } from "./route";

export function Person({ id }: { id: string | null }) {
  if (!id) return <>–</>;
  return <a href={address("users", { search: id })} title={id} onClick={follow}><code>{shortId(id)}</code></a>;
}
