// Every text that can be seen, with its contrast to what is behind it (WCAG 2, relative luminance).
() => {
  const parsed = (value) => {
    const canvas = Object.assign(document.createElement('canvas'), { width: 1, height: 1 });
    const context = canvas.getContext('2d', { willReadFrequently: true });
    context.fillStyle = value;
    context.fillRect(0, 0, 1, 1);
    return [...context.getImageData(0, 0, 1, 1).data];
  };
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, n) => sum + c * [0.2126, 0.7152, 0.0722][n], 0);
  const ratio = (a, b) => {
    const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
    return (high + 0.05) / (low + 0.05);
  };
  // What is painted under a point: the topmost filled thing below the text itself.
  const ground = (text, x, y) => {
    for (const element of document.elementsFromPoint(x, y)) {
      if (element === text || element.tagName === 'text' || element.tagName === 'title') continue;
      const style = getComputedStyle(element);
      const shape = element instanceof SVGElement && element.tagName !== 'svg';
      const value = shape ? style.fill : style.backgroundColor;
      if (value.startsWith('url') || value === 'none') continue;
      const colour = parsed(value);
      if (colour[3] === 255) return colour;
    }
    return parsed(getComputedStyle(document.body).backgroundColor);
  };
  const found = [];
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'title', 'OPTION'].includes(element.tagName)) continue;
    if (!element.checkVisibility()) continue;
    element.scrollIntoView({ block: 'center' });
    const box = element.getBoundingClientRect();
    if (!box.width || box.right < 0) continue;
    const style = getComputedStyle(element);
    const colour = parsed(element instanceof SVGElement ? style.fill : style.color);
    const behind = ground(element, box.x + box.width / 2, box.y + box.height / 2);
    found.push([element.textContent.trim().slice(0, 40), ratio(colour, behind)]);
  }
  return found;
}
