// What one place may hold, as a bar: the left half is the latest data, the right half stale data; the
// outer quarter of each is dirty (hatched). A dashed frame: it may hold nothing.
const SLOTS = { D: 0, L: 1, s: 2, d: 3 };

function hatches() {
  const pattern = (id, kind) => svg('pattern',
    { id, width: 5, height: 5, patternUnits: 'userSpaceOnUse', patternTransform: 'rotate(45)' },
    svg('rect', { class: `${kind} ground`, width: 5, height: 5 }),
    svg('line', { class: `${kind} stroke`, x1: 0, y1: 0, x2: 0, y2: 5, 'stroke-width': 4 }));
  return svg('svg', { class: 'hatches', width: 0, height: 0, 'aria-hidden': 'true' },
    svg('defs', {}, pattern('latest-dirty', 'latest'), pattern('stale-dirty', 'stale')));
}

function barPart([name, letters], x, y, width, height) {
  const part = svg('g', { class: 'held' }, svg('title', {}, holdsText([name, letters])));
  const absent = letters.includes('a');
  const slot = width / (isMemory(name) ? 2 : 4);
  for (const letter of letters) {
    if (letter === 'a') continue;
    const n = isMemory(name) ? (letter === 'L' ? 0 : 1) : SLOTS[letter];
    const kind = letter === 'D' || letter === 'L' ? 'latest' : 'stale';
    const dirty = letter === 'D' || letter === 'd';
    part.append(svg('rect', {
      class: dirty ? 'dirty' : kind, x: x + n * slot, y, width: slot, height,
      fill: dirty ? `url(#${kind}-dirty)` : undefined,
    }));
  }
  part.append(svg('rect', { class: absent ? 'frame absent' : 'frame', x, y, width, height }));
  return part;
}

function legend() {
  const sample = (name, letters) => {
    const drawing = svg('svg', { width: 40, height: 16, 'aria-hidden': 'true' });
    drawing.append(barPart([name, letters], 0.5, 0.5, 39, 15));
    return drawing;
  };
  const entry = (letters, words) => el('li', {}, sample('L2', letters), ` ${words}`);
  return el('ul', { class: 'legend', 'aria-label': 'What the bars mean' },
    entry('L', 'latest, clean'), entry('D', 'latest, dirty'), entry('s', 'stale, clean'),
    entry('d', 'stale, dirty'), entry('a', 'may hold nothing (dashed)'),
    el('li', {}, 'Several at once: any of them is legal.'));
}
