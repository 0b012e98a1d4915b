// The keyboard: as in pagers and mail readers. Tab and Enter work as everywhere, too.
const rows = () => [...document.querySelectorAll('.row')];

function go(where) {
  const at = document.activeElement?.classList.contains('row') ? document.activeElement
    : list.current === null ? null : byId(`finding-${list.current + 1}`)?.querySelector('.row');
  let all = rows();
  let to = { first: 0, last: Infinity, next: all.indexOf(at) + 1, previous: all.indexOf(at) - 1 }[where];
  if (to >= all.length && list.rest.length) {
    showMore(to === Infinity ? Infinity : PORTION);
    all = rows();
  }
  to = Math.max(0, Math.min(to, all.length - 1));
  all[to]?.focus();
  all[to]?.closest('.finding').scrollIntoView({ block: 'nearest' });
}

function current() {
  if (list.current === null) go('first');
  return list.current;
}

const KEYS = {
  j: () => go('next'),
  k: () => go('previous'),
  g: () => go('first'),
  G: () => go('last'),
  l: () => { if (current() !== null && !list.open.has(list.current)) openFinding(list.current); },
  h: () => {
    if (current() === null) return;
    closeFinding(list.current);
    byId(`finding-${list.current + 1}`)?.querySelector('.row').focus();
  },
  b: () => groupBy(BY[(BY.indexOf(list.by) + 1) % BY.length]),
  t: nextTheme,
  '/': () => { byId('search').focus(); byId('search').select(); },
  '?': () => byId('keys').showModal(),
};

function startKeys() {
  byId('help').addEventListener('click', KEYS['?']);
  addEventListener('keydown', (event) => {
    const writing = event.target === byId('search');
    if (writing && event.key === 'Escape') { byId('search').blur(); return; }
    if (writing && event.key === 'Enter') { go('first'); event.preventDefault(); return; }
    if (writing || byId('keys').open || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!REPORT.findings.length && !['t', '?'].includes(event.key)) return;
    const act = KEYS[event.key];
    if (event.key === 'Enter' && document.activeElement === document.body) {
      KEYS.l();
      event.preventDefault();
    } else if (act) {
      event.preventDefault();
      act();
    }
  });
}
