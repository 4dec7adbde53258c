const LABEL_WIDTH = 10;

/** One paragraph for each label, with a hanging indent, in lines of at most `width` where the words allow it. */
export function labelledText(rows: readonly (readonly [label: string, text: string])[], width = 100): string {
  return rows
    .flatMap(([label, text]) =>
      fold(text, width - LABEL_WIDTH).map((line, index) =>
        `${(index === 0 ? label : '').padEnd(LABEL_WIDTH)}${line}`.trimEnd(),
      ),
    )
    .join('\n');
}

function fold(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  return [...lines, line];
}
