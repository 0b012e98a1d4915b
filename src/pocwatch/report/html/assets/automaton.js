// The automaton with the path walked: states in rows (down is worse), the walked edges in front.
// Where history allows several states, every edge between them is one that may have been walked.
const FEW = 3;

function pathOf(steps) {
  const { edges } = REPORT.automaton;
  const between = (from, to) => from === to || edges.some((e) => e[0] === from && e[1] === to);
  return steps.flatMap((step, n) => {
    const from = REPORT.situations[step.before].states, to = REPORT.situations[step.after].states;
    if (step.role === 'gap' || from.length > FEW || to.length > FEW) return [];
    const sure = from.length === 1 && to.length === 1;
    return from.flatMap((f) => to.filter((t) => sure || between(f, t))
      .map((t) => ({ from: f, to: t, step, n: n + 1, sure })));
  });
}

// Where maintenance would have led that a rule took away or weakened.
function missedWays(path) {
  return path.flatMap(({ from, step, n }) => {
    const way = REPORT.automaton.edges.find(([at, , events]) => at === from && events.includes(step.asked));
    return way ? [{ from, to: way[1], said: `${n} ${step.asked}, ${step.fate}` }] : [];
  });
}

function visitedStates(steps) {
  const visited = new Set();
  for (const step of steps) {
    for (const index of [step.before, step.after]) {
      const { states } = REPORT.situations[index];
      if (states.length <= FEW) states.forEach((s) => visited.add(s));
    }
  }
  return visited;
}

// The row that Python chose, the walked states first: so that the way is short and reads from the left.
function placed(path, columns) {
  const { states } = REPORT.automaton;
  const walked = [...new Set(path.flatMap((p) => [p.from, p.to]))];
  const order = (s) => (walked.includes(s) ? walked.indexOf(s) : walked.length + states[s].at[0] + 1);
  const rowsOf = new Map();
  states.forEach((state, s) => rowsOf.set(state.at[1], [...(rowsOf.get(state.at[1]) || []), s]));
  const at = [];
  for (const [row, members] of rowsOf) {
    members.sort((one, other) => order(one) - order(other));
    members.forEach((s, n) => { at[s] = [n + (columns - members.length) / 4, row]; });
  }
  return at;
}

function automatonDrawing(steps, width) {
  const { states, edges, columns } = REPORT.automaton;
  const path = pathOf(steps), visited = visitedStates(steps), at = placed(path, columns);
  const column = Math.max(Math.min(width, 1000) / columns, 150);
  const box = Math.min(column - 28, 186);
  const words = states.map((state, s) =>
    wrapped(`${s}: ${state.meaning}`, Math.floor((box - 10) / (11 * LETTER))));
  const high = Math.max(...words.map((lines) => lines.length * 13 + 18), 50);
  const row = high + 84, top = 30;
  const rows = Math.max(...at.map((spot) => spot[1])) + 1;
  const total = column * columns, height = top + rows * row - (row - high) + 30;
  const centre = (s) => [at[s][0] * column + column / 2, top + at[s][1] * row + high / 2];
  const end = path.length ? path[path.length - 1].to : null;
  const drawing = svg('svg', {
    class: 'automaton', width: total, height, viewBox: `0 0 ${total} ${height}`, role: 'img',
    'aria-label': `The automaton's ${states.length} states; walked: ` + (path
      .filter((p) => p.from !== p.to).map((p) => `${p.from} to ${p.to} by ${p.step.operation}`)
      .join(', ') || 'no change'),
  }, svg('defs', {}, arrow('arrow'), arrow('arrow-walked'), arrow('arrow-missed')));
  const labels = [];
  const draw = (ways, kind, mark) => {
    const edgesOf = new Map();
    for (const { from, to, said } of ways) {
      const key = `${from} ${to}`;
      edgesOf.set(key, { from, to, said: [...(edgesOf.get(key)?.said || []), said] });
    }
    for (const { from, to, said } of edgesOf.values()) {
      const ends = edgeEnds(centre(from), centre(to), box, high);
      drawing.append(edge(ends, `edge ${kind}`, mark, said.join(', ')));
      if (kind) labels.push({ ends, said: said.join(', '), kind });
    }
  };
  const missed = missedWays(path), walked = path.filter((p) => p.from !== p.to);
  const special = new Set([...missed, ...walked].map((p) => `${p.from} ${p.to}`));
  draw(edges.filter(([from, to]) => !special.has(`${from} ${to}`))
    .map(([from, to, events]) => ({ from, to, said: events.join(', ') })), '', '');
  draw(missed, 'missed', '-missed');
  for (const sure of [false, true]) {
    draw(walked.filter((p) => p.sure === sure).map((p) => ({ ...p, said: `${p.n} ${p.step.operation}` })),
      sure ? 'walked' : 'walked maybe', '-walked');
  }
  const boxes = states.map((_, s) => {
    const [x, y] = centre(s);
    return { x: x - box / 2, y: y - high / 2, w: box, h: high };
  });
  states.forEach((state, s) => drawing.append(
    stateBox(state, s, words[s], boxes[s], visited.has(s), end === s)));
  drawing.append(...edgeLabels(labels, boxes, total));
  return drawing;
}

// Labels on their edges, moved along them until they hide no state and no other label.
function edgeLabels(labels, boxes, total) {
  const taken = [...boxes];
  const hidden = (one) => taken.filter((other) => one.x < other.x + other.w && other.x < one.x + one.w
    && one.y < other.y + other.h && other.y < one.y + one.h).length;
  return labels.flatMap(({ ends, said, kind }) => {
    const w = said.length * 12 * LETTER + 12, h = 20;
    const spots = [0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8].map((t) => {
      const [x, y] = onCurve(ends, t);
      return { x: Math.max(1, Math.min(x - w / 2, total - w - 1)), y: y - h / 2, w, h };
    });
    const best = spots.reduce((one, other) => (hidden(other) < hidden(one) ? other : one));
    taken.push(best);
    return [
      svg('rect', { class: `edge-ground ${kind}`, x: best.x, y: best.y, width: w, height: h, rx: 4 }),
      svg('text', { class: `edge-label ${kind}`, x: best.x + w / 2, y: best.y + 14 }, said),
    ];
  });
}

function arrow(id) {
  return svg('marker', {
    id, viewBox: '0 0 8 8', refX: 7, refY: 4, markerWidth: 7, markerHeight: 7,
    orient: 'auto-start-reverse', markerUnits: 'userSpaceOnUse',
  }, svg('path', { class: id, d: 'M0,0L8,4L0,8z' }));
}

// Where a line from the middle of a box towards a point leaves the box.
function border([x, y], [tx, ty], box, high) {
  const dx = tx - x, dy = ty - y;
  const scale = Math.min(
    dx ? (box / 2 + 2) / Math.abs(dx) : Infinity, dy ? (high / 2 + 2) / Math.abs(dy) : Infinity);
  return [x + dx * scale, y + dy * scale];
}

// Bent to the right, so that there and back are two lines and boxes in between are passed by.
function bend(from, to) {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length = Math.hypot(dx, dy) || 1;
  const off = Math.abs(dy) < 1 ? Math.min(34 + length / 14, 66) : 22 + length / 16;
  return [(from[0] + to[0]) / 2 - (dy / length) * off, (from[1] + to[1]) / 2 + (dx / length) * off];
}

function edgeEnds(from, to, box, high) {
  const control = bend(from, to);
  return [border(from, control, box, high), control, border(to, control, box, high)];
}

function onCurve([a, c, b], t) {
  return [0, 1].map((n) => (1 - t) ** 2 * a[n] + 2 * t * (1 - t) * c[n] + t ** 2 * b[n]);
}

function edge([a, c, b], kind, mark, title) {
  return svg('g', {}, svg('title', {}, title), svg('path', {
    class: kind, d: `M${a}Q${c} ${b}`, 'marker-end': `url(#arrow${mark})`,
  }));
}

function stateBox(state, s, lines, { x, y, w, h }, visited, last) {
  const first = y + h / 2 - (lines.length - 1) * 6.5 + 4;
  return svg('g', { class: visited ? 'visited' : '' },
    svg('title', {}, `${s}: ${state.meaning}; may be stale: ${state.reads}`),
    svg('rect', {
      class: `node ${state.severity}${last ? ' end' : ''}`, x, y, width: w, height: h, rx: 6,
    }),
    lines.map((line, n) => svg('text', { class: 'node', x: x + w / 2, y: first + n * 13 }, line)));
}
