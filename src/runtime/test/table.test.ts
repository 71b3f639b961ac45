import assert from "node:assert/strict";
import { test } from "node:test";
import { addToTable, typedFunctions } from "../src/core/table";

test("functions of several types go through a table with their values", () => {
  const calls: unknown[] = [];
  const functions = typedFunctions([
    { signature: "iii", call: (a: number, b: number) => a * b },
    { signature: "fi", call: (a: number) => a + 0.25 },
    { signature: "vi", call: (a: number) => void calls.push(a) },
  ]);
  const table = new WebAssembly.Table({ element: "anyfunc", initial: 3 });
  assert.deepEqual(addToTable(table, functions), [3, 4, 5]);
  assert.equal(table.get(3)(6, 7), 42);
  assert.equal(table.get(4)(2), 2.25);
  assert.equal(table.get(5)(9), undefined);
  assert.deepEqual(calls, [9]);
});

test("more than 36 functions have names of two digits", () => {
  const functions = typedFunctions(
    Array.from({ length: 200 }, (_, n) => ({ signature: "i", call: () => n })),
  );
  assert.deepEqual(
    functions.map((call) => call()),
    Array.from({ length: 200 }, (_, n) => n),
  );
});

test("seventeen parameters arrive in order", () => {
  const [call] = typedFunctions([
    { signature: "i".repeat(18), call: (...words: number[]) => Number(words.join("")[16]) },
  ]);
  assert.equal(call!(...Array.from({ length: 17 }, (_, n) => n % 10)), 6);
});
