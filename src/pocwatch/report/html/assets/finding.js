// One finding in full, made when it is opened. The order is that of the text report.
const WHAT = { access: 'The access', writer: 'The write', last: 'The last maintenance' };

const facts = (pairs) => el('dl', { class: 'facts' },
  pairs.map(([name, value]) => [el('dt', {}, name), el('dd', {}, value)]));

const section = (title, ...children) =>
  el('section', { class: 'part' }, el('h5', {}, title), ...children);

// Callers, the innermost first; the frame of the access or operation itself is named before.
const SHORT_STACK = 3;

function callers(frames) {
  if (!frames.length) return null;
  const names = frames.slice(0, SHORT_STACK).map(([place]) => text(place).split(/[+ ]/)[0]);
  const more = frames.length > SHORT_STACK ? ` and ${frames.length - SHORT_STACK} more` : '';
  return el('details', { class: 'callers', open: !more },
    el('summary', {}, `called by ${names.join(' ← ')}${more}`),
    el('ol', {}, frames.map(([place, source]) => el('li', {}, el('code', {}, text(place)),
      text(source) ? [' ', el('span', { class: 'note' }, text(source))] : null))));
}

function maintenanceList(finding) {
  if (!finding.maintenance.length) {
    return el('p', {}, finding.writer[0][0] === 'operation' ? 'none since that write' : 'none');
  }
  return el('ol', { class: 'maintenance' }, finding.maintenance.map(([op, agent, place, why, stack]) =>
    el('li', {}, el('code', {}, op), ` by ${agent} in `, el('code', {}, place),
      el('p', { class: 'why' }, text(why)), callers(stack))));
}

function lineCells({ states, texts, cell }) {
  const meaning = new Map(states.map((state, n) => [state, texts[n]]));
  const stale = states[cell];
  return el('div', {}, el('div', { class: 'wide' }, el('table', { class: 'cells' },
    el('tr', {}, el('th', { scope: 'row' }, 'bytes'),
      states.map((_, n) => el('td', {}, `+${(8 * n).toString(16).padStart(2, '0')}`))),
    el('tr', {}, el('th', { scope: 'row' }, 'state'),
      states.map((state) => el('td', { class: state === stale ? 'stale' : '' }, state))),
    el('tr', { 'aria-hidden': 'true' }, el('th', {}, ''),
      states.map((state) => el('td', {}, state === stale ? '^' : ''))))),
  el('p', {}, [...meaning].map(([state, said]) => `${state}: ${said ? text(said) : '?'}`).join('; ')));
}

function excerpt({ what, place, line, lines }) {
  return el('figure', { class: 'source' },
    el('figcaption', {}, `${WHAT[what]}: `, el('code', {}, place),
      lines.length ? '' : ' (the file cannot be read here)'),
    lines.length ? el('pre', { tabindex: 0 }, lines.map(([n, code]) =>
      el('span', { class: n === line ? 'this' : '' },
        `${n === line ? '▶' : ' '}${String(n).padStart(5)}  ${code}`))) : null);
}

function drawings(finding, width) {
  const steps = finding.steps.map((index) => REPORT.steps[index]);
  return [
    section('Timeline of the line', TRUST[finding.trust] && el('p', {}, TRUST[finding.trust]),
      el('div', { class: 'wide drawn' }, timelineDrawing(steps, width)), legend(),
      el('details', {}, el('summary', {}, 'The timeline as a table'), stepsTable(steps))),
    section('The automaton, and the path walked',
      el('div', { class: 'wide drawn' }, automatonDrawing(steps, width)),
      el('p', { class: 'note' }, 'Upper row: every read is fresh. Below: some read may be stale. Last: '
        + 'the latest data may be lost. Red: the way walked, by the numbers of the timeline (dotted: perhaps). Green: '
        + 'where maintenance would have led that a rule took away. The thickest frame is where the access '
        + 'met the line. Thin edges are all others; point at one to see its operations.')),
  ];
}

function detail(finding, width) {
  const repair = text(finding.repair);
  return [
    el('div', { class: 'columns' },
      section('Access', facts(finding.access), callers(finding.stack)),
      section('Latest data written by', facts(finding.writer))),
    section(`Maintenance of this line${finding.truncated ? ' (older forgotten)' : ''}`,
      maintenanceList(finding)),
    ...(finding.steps ? drawings(finding, width)
      : [el('p', {}, 'Without the definition of the platform no timeline can be drawn.')]),
    section(`Line at PA ${finding.line.pa}, before this access`, lineCells(finding.line)),
    ...(finding.source.length ? [section('Source', finding.source.map(excerpt))] : []),
    section('Rule', el('p', {}, text(finding.rule))),
    repair ? section('Repair', el('p', {}, el('code', { class: 'repair' }, repair))) : null,
  ];
}
