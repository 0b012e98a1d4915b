// The caches between PEs and memory, with the points of unification and coherency.
function platformDrawing(platform) {
  const box = 84, gap = 26, high = 44, top = 26;
  const names = ['PEs', ...platform.levels.map((level) => level.name), 'memory'];
  const width = names.length * box + (names.length - 1) * gap;
  const reaches = ['by VA', 'set/way', 'outer']
    .filter((how) => platform.levels.some((level) => level[how]));
  const height = top + high + 22 + reaches.length * 20;
  const x = (n) => n * (box + gap);
  const drawing = svg('svg', {
    class: 'platform', viewBox: `-1 0 ${width + 2} ${height}`, width: width + 2, height, role: 'img',
    'aria-label': `${platform.name}: ${names.join(', ')}; ` + reaches.map((how) =>
      `${how} reaches ${platform.levels.filter((l) => l[how]).map((l) => l.name).join(', ')}`)
      .join('; '),
  });
  names.forEach((name, n) => {
    const kind = n === 0 ? 'pe' : n === names.length - 1 ? 'memory' : 'cache';
    drawing.append(
      svg('rect', { class: `box ${kind}`, x: x(n), y: top, width: box, height: high, rx: 4 }),
      svg('text', { class: 'label', x: x(n) + box / 2, y: top + high / 2 + 5 },
        n === 0 ? (platform.pes === 1 ? '1 PE' : `${platform.pes} PEs`) : name),
    );
    if (n) {
      drawing.append(svg('line', {
        class: 'wire', x1: x(n) - gap, x2: x(n), y1: top + high / 2, y2: top + high / 2,
      }));
    }
  });
  const points = [[platform.pou + 1, 'PoU'], [names.length - 1, 'PoC']];
  const same = points[0][0] === points[1][0];
  for (const [n, name] of same ? [[points[1][0], 'PoU, PoC']] : points) {
    const at = x(n) - gap / 2;
    drawing.append(
      svg('line', { class: 'point', x1: at, x2: at, y1: top - 6, y2: top + high + 8 }),
      svg('text', { class: 'small', x: at, y: top - 12 }, name),
    );
  }
  reaches.forEach((how, row) => {
    const y = top + high + 22 + row * 20;
    drawing.append(svg('text', { class: 'small left', x: 0, y: y + 4 }, how));
    platform.levels.forEach((level, n) => {
      if (!level[how]) return;
      const joined = n + 1 < platform.levels.length && platform.levels[n + 1][how] ? gap : 0;
      drawing.append(svg('line', {
        class: 'reach', x1: x(n + 1), x2: x(n + 1) + box + joined, y1: y, y2: y,
      }));
    });
  });
  return drawing;
}
