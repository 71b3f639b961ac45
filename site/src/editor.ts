/** The code editor: Python with highlighting, line numbers and a mark on a failing line. */

import { defaultKeymap, history, historyKeymap, indentWithTab } from "@codemirror/commands";
import { python } from "@codemirror/lang-python";
import {
  bracketMatching,
  HighlightStyle,
  indentOnInput,
  indentUnit,
  syntaxHighlighting,
} from "@codemirror/language";
import { EditorState, StateEffect, StateField } from "@codemirror/state";
import {
  Decoration,
  type DecorationSet,
  drawSelection,
  EditorView,
  highlightActiveLine,
  keymap,
  lineNumbers,
} from "@codemirror/view";
import { tags } from "@lezer/highlight";

const markLine = StateEffect.define<number | null>();

/** The line of the last error; an edit removes the mark. */
const markedLine = StateField.define<DecorationSet>({
  create: () => Decoration.none,
  update(marks, transaction) {
    if (transaction.docChanged) marks = Decoration.none;
    for (const effect of transaction.effects) {
      if (!effect.is(markLine)) continue;
      const line = effect.value;
      if (line === null || line < 1 || line > transaction.state.doc.lines) {
        marks = Decoration.none;
      } else {
        const { from } = transaction.state.doc.line(line);
        marks = Decoration.set([Decoration.line({ class: "cm-failing" }).range(from)]);
      }
    }
    return marks;
  },
  provide: (field) => EditorView.decorations.from(field),
});

const colours = HighlightStyle.define([
  { tag: [tags.keyword, tags.operatorKeyword, tags.modifier], color: "var(--code-keyword)" },
  { tag: [tags.string, tags.special(tags.string)], color: "var(--code-string)" },
  { tag: [tags.number, tags.bool, tags.null], color: "var(--code-number)" },
  { tag: [tags.comment, tags.docComment], color: "var(--code-comment)", fontStyle: "italic" },
  {
    tag: [tags.definition(tags.function(tags.variableName)), tags.definition(tags.className)],
    color: "var(--code-definition)",
    fontWeight: "600",
  },
  {
    tag: [tags.function(tags.variableName), tags.function(tags.propertyName)],
    color: "var(--code-call)",
  },
  { tag: [tags.self, tags.special(tags.variableName)], color: "var(--code-comment)" },
]);

export interface Editor {
  readonly text: string;
  reset(): void;
  mark(line: number | null): void;
  readonly edited: boolean;
}

/**
 * An editor in ``parent`` holding ``edited``, or ``source`` where that is null; ``reset`` goes back
 * to ``source``. Ctrl+Enter (Cmd+Enter) calls ``onRun``.
 */
export function createEditor(
  parent: HTMLElement,
  source: string,
  edited: string | null,
  onRun: () => void,
  onChange: () => void,
): Editor {
  const run = () => {
    onRun();
    return true;
  };
  const view = new EditorView({
    parent,
    state: EditorState.create({
      doc: edited ?? source,
      extensions: [
        lineNumbers(),
        history(),
        drawSelection(),
        highlightActiveLine(),
        indentOnInput(),
        bracketMatching(),
        indentUnit.of("    "),
        python(),
        syntaxHighlighting(colours),
        markedLine,
        keymap.of([{ key: "Mod-Enter", run }, indentWithTab, ...defaultKeymap, ...historyKeymap]),
        EditorView.contentAttributes.of({
          "aria-label": "The Python program. Press Escape, then Tab, to leave the editor.",
          spellcheck: "false",
        }),
        EditorView.updateListener.of((update) => update.docChanged && onChange()),
      ],
    }),
  });
  return {
    get text() {
      return view.state.doc.toString();
    },
    get edited() {
      return view.state.doc.toString() !== source;
    },
    reset() {
      view.dispatch({ changes: { from: 0, to: view.state.doc.length, insert: source } });
    },
    mark(line) {
      view.dispatch({ effects: markLine.of(line) });
      if (line === null || line < 1 || line > view.state.doc.lines) return;
      const { from } = view.state.doc.line(line);
      view.dispatch({ effects: EditorView.scrollIntoView(from, { y: "center" }) });
    },
  };
}
