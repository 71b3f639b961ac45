/** Sizes that vary from call to call, and expressions of them (docs/model-format.md). */
import { Damaged } from "./errors";

type Operator = "+" | "-" | "*" | "floordiv" | "max";

/** A number, the name of a symbol, or an operator with its operands. */
export type Expression = number | string | readonly [Operator, Expression, Expression];

/** A size that each call chooses: that of one dimension of an input is factor * symbol + offset. */
export interface SymbolInfo {
  readonly name: string;
  readonly minimum: number;
  readonly maximum: number;
  readonly input: number;
  readonly dimension: number;
  readonly factor: number;
  readonly offset: number;
}

/** The sizes of the symbols in one call, by name. */
export type Sizes = ReadonlyMap<string, number>;

/** The largest number of 32-bit arithmetic, and the maximum of a symbol that has none. */
export const UNLIMITED = 2 ** 31 - 1;

const OPERATORS: Readonly<Record<Operator, (a: number, b: number) => number>> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  floordiv: (a, b) => Math.floor(a / b),
  max: Math.max,
};

export function evaluate(expression: Expression, sizes: Sizes): number {
  if (typeof expression === "number") return expression;
  if (typeof expression === "string") return sizes.get(expression)!;
  const [operator, a, b] = expression;
  return OPERATORS[operator](evaluate(a, sizes), evaluate(b, sizes));
}

/** The names of the symbols in an expression. */
export function symbolsOf(expression: Expression): string[] {
  if (typeof expression === "number") return [];
  if (typeof expression === "string") return [expression];
  return [...symbolsOf(expression[1]), ...symbolsOf(expression[2])];
}

/** The expression as one would write it: `batch`, `(height + 1) // 2`. */
export function textOf(expression: Expression): string {
  if (typeof expression !== "object") return String(expression);
  const [operator, ...operands] = expression;
  if (operator === "max") return `max(${operands.map(textOf).join(", ")})`;
  const parts = operands.map((part) =>
    typeof part === "object" ? `(${textOf(part)})` : `${part}`,
  );
  return parts.join(` ${operator === "floordiv" ? "//" : operator} `);
}

export function shapeText(shape: readonly Expression[]): string {
  return `[${shape.map(textOf).join(", ")}]`;
}

/** Throws Damaged where `value` is no expression of these symbols. */
export function checkExpression(value: unknown, symbols: ReadonlySet<string>, what: string): void {
  const damaged = () => new Damaged(`the manifest of the model file is damaged (${what})`);
  if (typeof value === "number") {
    if (!Number.isInteger(value) || value < 0 || value > 2 ** 32 - 1) throw damaged();
  } else if (typeof value === "string") {
    if (!symbols.has(value)) throw damaged();
  } else {
    if (!Array.isArray(value) || value.length !== 3) throw damaged();
    if (!Object.hasOwn(OPERATORS, value[0])) throw damaged();
    if (value[0] === "floordiv" && !(typeof value[2] === "number" && value[2] > 0)) throw damaged();
    for (const part of value.slice(1)) checkExpression(part, symbols, what);
  }
}
