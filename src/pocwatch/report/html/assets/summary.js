// The head of the page: the verdict, the machine and its caches, what was counted.
function verdict(summary, found) {
  if (!summary.complete) return `${counted(found, 'finding')}; partial`;
  if (!found) return 'no findings';
  const causes = summary.causes < found ? ` of ${counted(summary.causes, 'cause')}` : '';
  return counted(found, 'finding') + causes;
}

function copyable(command) {
  const said = el('span', { role: 'status' });
  const code = el('code', { class: 'command' }, command);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(command);
      said.textContent = ' copied';
    } catch { // a page from a file may not: select it instead
      getSelection().selectAllChildren(code);
      said.textContent = ' selected: press Ctrl-C';
    }
  };
  return el('div', { class: 'copy' }, code,
    el('button', { type: 'button', click: copy }, 'Copy'), said);
}

function maintenanceTable({ maintenance, redundant }) {
  const most = Math.max(...maintenance.map(([, count]) => count), 1);
  return el('div', { class: 'wide' }, el('table', { class: 'counts' },
    el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, 'maintenance'),
      el('th', { scope: 'col', class: 'n' }, 'executed'),
      redundant && el('th', { scope: 'col', class: 'n' }, 'redundant'), el('td', {}))),
    el('tbody', {}, maintenance.map(([op, count, useless]) => el('tr', {},
      el('th', { scope: 'row' }, el('code', {}, op)), el('td', { class: 'n' }, number(count)),
      redundant && el('td', { class: 'n' }, `${number(useless)} (${(100 * useless / count).toFixed(1)} %)`),
      el('td', { class: 'share' }, svg('svg', { width: 120, height: 10, 'aria-hidden': 'true' },
        svg('rect', { class: 'latest', width: Math.max(120 * count / most, 1), height: 10 }))))))));
}

function summaryParts(report) {
  const { summary, platform, findings } = report;
  const kinds = new Map();
  for (const { kind } of findings) kinds.set(text(kind), (kinds.get(text(kind)) || 0) + 1);
  const machine = el('section', { class: 'part' }, el('h2', {}, 'Machine'), facts([
    ...(kinds.size ? [['found', [...kinds].map(([kind, n]) => `${number(n)} ${kind}`).join(', ')]] : []),
    ['QEMU', summary.qemu],
    ...summary.counters.map(([name, count]) => [name, number(count)]),
    ['platform', platform ? `${platform.name}: ${platform.description}` : summary.platform],
    ...(platform ? [['CTR_EL0', `IDC=${+platform.idc} DIC=${+platform.dic}`]] : []),
  ]));
  const caches = platform && el('section', { class: 'part' }, el('h2', {}, 'Caches'),
    el('div', { class: 'wide' }, platformDrawing(platform)),
    el('p', { class: 'note' }, 'Lines below: how far maintenance of each kind reaches.'),
    summary.maintenance.length ? maintenanceTable(summary) : null);
  const rules = summary.dropped.length && el('section', { class: 'part' }, el('h2', {}, 'Rules applied'),
    el('ul', {}, summary.dropped.map(([rule, count]) =>
      el('li', {}, el('code', {}, rule), ` ${times(count)}`))));
  const suppressed = summary.suppressed.length && el('section', { class: 'part' },
    el('h2', {}, 'Suppressed'), el('ul', {}, summary.suppressed.map(([rule, count, seen, reason]) =>
      el('li', {}, el('b', {}, rule), `: ${counted(count, 'finding')}, seen ${times(seen)}. `, reason))));
  const known = summary.known && el('section', { class: 'part' }, el('h2', {}, 'Known'),
    el('p', {}, `${counted(summary.known[1], 'finding')}, seen ${times(summary.known[2])}, are in the `
      + 'baseline ', el('code', {}, summary.known[0]), ' and not shown.'));
  const warnings = summary.warnings.length && el('section', { class: 'part warning' },
    el('h2', {}, 'Warnings'), el('ul', {}, summary.warnings.map((line) => el('li', {}, line))));
  return [
    summary.complete ? null
      : el('p', { class: 'partial' }, `Partial: ${summary.failure || 'the run did not end'}.`),
    findings.length ? null : el('p', { class: 'clean' },
      'No read, fetch or walk of this run could have seen stale memory under any legal behaviour of '
      + 'these caches', summary.complete ? '.' : ', as far as it went.'),
    warnings || null,
    el('div', { class: 'columns' }, machine, caches),
    el('div', { class: 'columns' }, rules || null, suppressed || null, known || null),
    el('section', { class: 'part' }, el('h2', {}, 'Reproduce'), copyable(summary.command)),
  ];
}
