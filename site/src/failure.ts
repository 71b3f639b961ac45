/** What went wrong, where, and what to do about it. */

import { byId } from "./dom";

/** Shows a failure; one of loading offers to reload, one of the user's program does not. */
export function showFailure(where: string, reason: string, ofLoading: boolean): void {
  byId("failure-title").textContent = ofLoading
    ? `Loading stopped at: ${where.replace("…", "")}`
    : `${where} raised an exception`;
  byId("failure-remedy").textContent = ofLoading
    ? "Reload the page; if that does not help, look whether the server still runs and offers this file."
    : "Your edits are kept: mend the marked line and train again.";
  byId("failure-text").textContent = reason;
  byId("reload").hidden = !ofLoading;
  byId("failure").hidden = false;
}

export function hideFailure(): void {
  byId("failure").hidden = true;
}
