// The line's history, downwards in time: agents as lanes, places as bars, the moment it went wrong.
// Who did it: a PE for the host, or for one of its guests; a device.
function laneOf({ agent, world }) {
  if (agent.startsWith('D')) return `${agent} device`;
  return `${agent} ${world.includes('guest') ? world.split(', ')[1] : 'host'}`;
}

function lanesOf(steps) {
  const lanes = [...new Set(steps.filter((s) => s.agent).map(laneOf))];
  const order = (lane) => lane.replace('D', 'X').replace('host', ' '); // devices last, host first
  return lanes.sort((a, b) => order(a).localeCompare(order(b), 'en', { numeric: true }));
}

// The rows: each step with its texts broken into lines, and where it is drawn.
function timelineRows(steps, characters, top) {
  let y = top;
  return steps.map((step, n) => {
    const became = step.fate === 'weakened' ? `${step.asked} → ${step.operation}` : step.operation;
    const head = wrapped(step.role === 'gap' ? '⋯' : became, characters);
    const level = step.world.split(', ')[0];
    const place = wrapped([step.where, level].filter(Boolean).join(', '), characters);
    const said = step.role === 'access' ? step.notes.slice(0, 1) : step.notes;
    const notes = said.flatMap((note) => wrapped(note, characters));
    const flag = (kind, words) => wrapped(words, characters).map((line) => [`flag ${kind}`, line]);
    const lines = [
      ...head.map((line) => [`operation ${step.fate || step.role}`, line]),
      ...place.map((line) => ['place', line]),
      ...(step.role === 'latest' ? flag('good', 'writes the latest data') : []),
      ...(step.role === 'access' ? flag('bad', `✗ goes wrong here: ${step.notes[1]}`) : []),
      ...(step.lost ? flag('bad', '✗ from here on the latest data may be lost') : []),
      ...notes.map((line) => ['note', line]),
    ];
    const row = { step, n, lines, y, height: Math.max(lines.length * 16 + 16, 48), last: n + 1 === steps.length };
    y += row.height;
    return row;
  });
}

function timelineLabel(steps) {
  return 'Timeline: ' + steps.map((s) => s.role === 'gap' ? s.notes[0]
    : `${s.agent} ${s.operation}${s.where ? ` in ${s.where}` : ''}`
      + (s.role === 'access' ? ', which goes wrong' : s.notes.length ? ` (${s.notes.join(', ')})` : ''))
    .join('; ');
}

function timelineDrawing(steps, width) {
  const narrow = width < 700;
  const lanes = lanesOf(steps);
  const lane = Math.min(narrow ? 56 : 84, (width * 0.3) / lanes.length);
  const situations = REPORT.situations;
  const names = situations[steps[steps.length - 1].before].bars.map((bar) => bar[0]);
  const bar = narrow ? 30 : 44, between = narrow ? 8 : 12, circle = 34;
  const left = lanes.length * lane + 22;
  const right = width - names.length * (bar + between) - circle - 4;
  const characters = Math.max(Math.floor((right - left - 22) / (12 * LETTER)), 10);
  const top = 40;
  const rows = timelineRows(steps, characters, top + 34);
  const height = rows[rows.length - 1].y + rows[rows.length - 1].height + 4;
  const drawing = svg('svg', {
    class: 'timeline', width, height, viewBox: `0 0 ${width} ${height}`, role: 'img',
    'aria-label': timelineLabel(steps),
  });
  const wrong = rows[rows.length - 1];
  drawing.append(svg('rect', {
    class: 'wrong-row', x: 0.5, y: wrong.y - 2, width: width - 1, height: wrong.height + 4, rx: 4,
  }));

  lanes.forEach((name, n) => {
    const x = n * lane + lane / 2;
    const [agent, ...world] = name.split(' ');
    drawing.append(
      svg('text', { class: 'head', x, y: 14 }, agent),
      svg('text', { class: 'small', x, y: 29 }, world.join(' ')),
      svg('line', { class: 'lane', x1: x, x2: x, y1: top, y2: height - 4 }),
    );
  });
  names.forEach((name, n) => {
    const x = right + n * (bar + between) + bar / 2;
    drawing.append(svg('text', { class: 'head', x, y: 29 }, isMemory(name) ? 'mem' : name));
  });
  drawing.append(svg('text', { class: 'small', x: width - circle / 2, y: 29 }, 'state'));

  const inTheBars = (index, y, h) => {
    const situation = situations[index];
    situation.bars.forEach((held, n) => {
      drawing.append(barPart(held, right + n * (bar + between), y + 1, bar, h - 2));
    });
    if (!situation.bars.length) {
      drawing.append(svg('text', {
        class: 'small', x: right + names.length * (bar + between) / 2, y: y + h / 2 + 4,
      }, 'not known'));
    }
    drawing.append(stateMark(situation.states, width - circle / 2, y + Math.min(h / 2, 22)));
  };
  inTheBars(steps[0].before, top, 34);
  for (const row of rows) {
    if (!row.last) inTheBars(row.step.after, row.y, row.height);
    drawing.append(...stepMarks(row, lanes, lane, left));
    row.lines.forEach(([kind, line], n) => drawing.append(
      svg('text', { class: kind, x: left + 14, y: row.y + 14 + n * 16 }, line)));
  }
  inTheBars(wrong.step.before, wrong.y, wrong.height);
  return drawing;
}

function stepMarks({ step, n, y }, lanes, lane, left) {
  if (!step.agent) return [];
  const x = lanes.indexOf(laneOf(step)) * lane + lane / 2;
  const at = y + 10, crossed = step.role === 'missing' || step.role === 'access';
  const marks = [
    svg('line', { class: `lead ${step.role}`, x1: x, x2: left - 8, y1: at, y2: at }),
    svg('text', { class: 'step-number', x: left + 2, y: y + 14 }, n + 1),
    step.role === 'write' || step.role === 'latest'
      ? svg('rect', { class: `mark ${step.role}`, x: x - 6, y: at - 6, width: 12, height: 12 })
      : svg('circle', { class: `mark ${step.role}`, cx: x, cy: at, r: crossed ? 9 : 7 }),
  ];
  if (crossed) {
    marks.push(svg('path', {
      class: `cross ${step.role}`, d: `M${x - 4},${at - 4}l8,8m0,-8l-8,8`,
    }));
  }
  return marks;
}

function stateMark(states, x, y) {
  const worst = ['lost', 'stale', 'fresh']
    .find((kind) => states.some((s) => REPORT.automaton.states[s].severity === kind));
  const label = states.length === 0 ? '?' : states.length > 3 ? '…' : states.join(' ');
  return svg('g', {}, svg('title', {}, statesText(states)),
    svg('circle', { class: worst || 'unknown', cx: x, cy: y, r: 14 }),
    svg('text', { class: `state${label.length > 3 ? ' several' : ''}`, x, y: y + 4 }, label));
}

function stepsTable(steps) {
  const row = (step, n) => el('tr', { class: step.role },
    el('td', {}, n + 1),
    el('td', {}, step.role === 'gap' ? '' : `${step.agent} ${step.operation}`),
    el('td', {}, step.world), el('td', {}, step.where),
    el('td', {}, [...(step.lost ? ['the latest data may be lost from here on'] : []),
      ...step.notes].join('; ')),
    el('td', {}, statesText(REPORT.situations[step.after].states)),
    el('td', {}, REPORT.situations[step.after].bars.map(holdsText).join('. ')));
  return el('div', { class: 'wide' }, el('table', { class: 'steps' },
    el('thead', {}, el('tr', {}, ['', 'step', 'at', 'in', 'notes', 'state after it', 'what may be where']
      .map((head) => el('th', { scope: 'col' }, head)))),
    el('tbody', {}, steps.map(row))));
}
