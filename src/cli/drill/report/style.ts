/** Everything that makes the report look as it does, in light and in dark, on a screen and on paper. */
export const STYLE = `
:root { color-scheme: light dark;
  --page: #fcfcfb; --card: #ffffff; --ink: #1b1b1a; --soft: #5c5b57; --line: #d9d8d3; --band: #f3f2ee;
  --leader: #2a78d6; --grant: #1b7f3b; --fault: #c2332b; --gap: #f6d9d5; --mark: #6b6a66; }
@media (prefers-color-scheme: dark) { :root {
  --page: #161615; --card: #1f1f1d; --ink: #f1f0ec; --soft: #b3b2ab; --line: #3d3c39; --band: #262623;
  --leader: #6aaef5; --grant: #5fc27e; --fault: #ff8a80; --gap: #4d2b28; --mark: #a3a29b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 24px 20px 64px; }
h1 { font-size: 26px; line-height: 1.2; margin: 0 0 4px; } h2 { font-size: 18px; margin: 36px 0 8px; }
p { margin: 4px 0 10px; } .soft { color: var(--soft); }
.verdict { font-size: 17px; font-weight: 600; } .bad { color: var(--fault); font-weight: 600; } .good { color: var(--grant); }
.scroll { overflow-x: auto; margin-bottom: 14px; } .tall { max-height: 560px; overflow-y: auto; }
.tall thead th { position: sticky; top: 0; } .tall td { white-space: nowrap; } h3 { font-size: 15px; margin: 14px 0 0; }
a { color: var(--leader); } th.group { border-left: 1px solid var(--line); }
table { border-collapse: separate; border-spacing: 0; width: 100%; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: var(--soft); padding: 0 0 6px; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
thead th { background: var(--band); font-weight: 600; white-space: nowrap; }
tbody th { font-weight: 500; white-space: nowrap; } td.n, th.n { text-align: right; white-space: nowrap; }
figure { margin: 8px 0 4px; } svg { display: block; width: 100%; height: auto; font: 12px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .soft { fill: var(--soft); }
.axis { stroke: var(--line); fill: none; } .band { fill: var(--band); } .gap { fill: var(--gap); }
.term { fill: var(--leader); } .next { fill: none; stroke: var(--leader); stroke-width: 1.5; }
.dot { fill: var(--leader); fill-opacity: .45; } .pct { stroke: var(--ink); stroke-width: 1.5; }
.k-fault { fill: var(--fault); } .k-leader { fill: var(--leader); } .k-load { fill: var(--grant); }
.k-store, .k-repair, .k-note { fill: var(--mark); } svg .in { fill: var(--card); font-size: 10px; font-weight: 700; }
.cut { stroke: var(--fault); stroke-width: 1.5; }
details { background: var(--card); border: 1px solid var(--line); border-radius: 6px; margin: 8px 0; padding: 0 14px; }
summary { cursor: pointer; padding: 9px 0; } details[open] { padding-bottom: 14px; }
summary:focus-visible { outline: 2px solid var(--leader); outline-offset: 2px; }
ul { padding-left: 20px; }
@media print { details { break-inside: avoid; } }
`;
