/** How much printed text is kept, on either side of the messages. */

/** Characters. */
export const MOST_OUTPUT = 50_000;
/** A longer line is cut within. */
const LONGEST_LINE = 1_000;

/** The last MOST_OUTPUT characters of a text, less what is there of a line cut through. */
export function tail(text: string): string {
  const from = text.length - MOST_OUTPUT;
  if (from <= 0) return text;
  const newline = text.indexOf("\n", from - 1);
  return text.slice(newline >= 0 && newline < from + LONGEST_LINE ? newline + 1 : from);
}
