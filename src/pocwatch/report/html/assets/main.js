startTheme();
document.body.append(hatches());
byId('verdict').textContent = verdict(REPORT.summary, REPORT.findings.length);
document.title = `pocwatch: ${byId('verdict').textContent} (${REPORT.summary.platform})`;
byId('summary').append(...summaryParts(REPORT).filter(Boolean));
startKeys();
if (REPORT.findings.length) startList();
