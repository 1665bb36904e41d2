// The report's style sheet.
#include "client/report/page.h"

namespace atelier::client::report {

// Colours of series: Okabe and Ito's, which the colour-blind can tell apart, without the yellow
// that white swallows; somewhat lighter on dark.
const char kPalette[] = R"css(
:root {
  --paper: #ffffff; --ink: #1b2430; --soft: #5b6776; --rule: #dfe4ea; --card: #f6f8fa;
  --heat: 0, 90, 156;
  --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #b07d00; --c5: #56b4e9;
  --c6: #4d4d4d;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161c; --ink: #e6eaf0; --soft: #9aa7b6; --rule: #2c3540; --card: #1a2028;
    --heat: 86, 180, 233;
    --c0: #4fa8dd; --c1: #ff8a3d; --c2: #2fcf9f; --c3: #e6a3c8; --c4: #e0b040; --c5: #9ad4f5;
    --c6: #c8ccd2;
  }
}
.f0 { fill: var(--c0); } .f1 { fill: var(--c1); } .f2 { fill: var(--c2); } .f3 { fill: var(--c3); }
.f4 { fill: var(--c4); } .f5 { fill: var(--c5); } .f6 { fill: var(--c6); }
)css";

const char kNetworkStyle[] = R"css(
.network { color-scheme: light dark; }
.network text { fill: var(--soft); font: 11.5px system-ui, sans-serif; }
.network text.name { fill: var(--ink); font-size: 12px; font-weight: 600; }
.network text.shape { fill: var(--ink); }
.network text.head { fill: var(--ink); font-size: 20px; font-weight: 650; }
.paper { fill: var(--paper); }
.way, .bypass, .plus { fill: none; stroke: var(--soft); stroke-width: 1.4; }
.bypass { stroke: var(--c1); }
.arrow { fill: var(--soft); }
.sum { fill: var(--paper); stroke: var(--c1); stroke-width: 1.8; }
.plus { stroke: var(--c1); stroke-width: 1.8; }
.solid { stroke: var(--paper); stroke-width: .8; stroke-linejoin: round; }
.solid .top { filter: brightness(1.18); } .solid .side { filter: brightness(.82); }
)css";

const char kStyle[] = R"css(
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink); line-height: 1.5;
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
.kicker { margin: 0; color: var(--soft); font-size: .85rem; letter-spacing: .04em; }
h1 { margin: .1rem 0 1.2rem; font-size: clamp(1.5rem, 4vw, 2.2rem); line-height: 1.2;
  overflow-wrap: anywhere; }
h2 { margin: 2.6rem 0 .6rem; font-size: 1.35rem; }
h3 { margin: 2rem 0 .5rem; font-size: 1.1rem; overflow-wrap: anywhere; }
h4 { margin: 1.3rem 0 .4rem; font-size: .95rem; color: var(--soft); font-weight: 600; }
p { max-width: 46rem; margin: .5rem 0; }
.lead { font-size: 1.1rem; }
.note, .none, footer { color: var(--soft); font-size: .9rem; }
.warning { border-left: 4px solid var(--c1); padding: .4rem .8rem; background: var(--card); }
.advice { border-left: 4px solid var(--c2); padding: .6rem 1rem; background: var(--card);
  max-width: none; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem;
  margin: 1.2rem 0; padding: 0; list-style: none; }
.tiles li { background: var(--card); border-radius: .6rem; padding: .8rem 1rem; }
.tiles b { display: block; font-size: clamp(1.15rem, 4.4vw, 1.45rem); font-weight: 650;
  line-height: 1.25; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles span { color: var(--soft); font-size: .85rem; }
.scroll { overflow-x: auto; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums;
  min-width: 50%; }
th, td { padding: .35rem .55rem; text-align: left; border-bottom: 1px solid var(--rule);
  overflow-wrap: break-word; }
.why { color: var(--soft); font-size: .85rem; max-width: 18rem; }
th { color: var(--soft); font-weight: 600; font-size: .85rem; vertical-align: bottom;
  line-height: 1.3; }
.figure { text-align: right; }
td.figure { white-space: nowrap; }
tr > :first-child { position: sticky; left: 0; background: var(--paper); }
td b { font-weight: 650; }
.bar { display: inline-block; width: 2.4rem; height: .45rem; margin-left: .4rem; border-radius: .25rem;
  background: var(--rule); overflow: hidden; vertical-align: middle; }
.bar i { display: block; height: 100%; background: var(--c0); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr));
  gap: 1.4rem; margin: 1rem 0; }
.charts.small { grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
figure { margin: 0; min-width: 0; }
figcaption { font-weight: 600; font-size: .95rem; margin-bottom: .3rem; }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg svg { overflow: hidden; }
svg text { fill: var(--soft); font: 12px system-ui, sans-serif; }
svg text.name { font-size: 12.5px; fill: var(--ink); }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis, .tick { stroke: var(--soft); stroke-width: 1; }
.line { fill: none; stroke-width: 2.2; stroke-linejoin: round; }
.faint { fill: none; stroke-width: 1; opacity: .35; }
.band { opacity: .16; stroke: none; }
.dot { stroke: var(--paper); stroke-width: 1; }
.single { fill: none; stroke-width: 1.2; opacity: .7; }
.dot:hover { stroke: var(--ink); stroke-width: 2; }
.s0 { stroke: var(--c0); } .s1 { stroke: var(--c1); } .s2 { stroke: var(--c2); }
.s3 { stroke: var(--c3); } .s4 { stroke: var(--c4); } .s5 { stroke: var(--c5); }
.s6 { stroke: var(--c6); }
.legend { display: flex; flex-wrap: wrap; gap: .2rem 1.1rem; margin: .3rem 0 0; padding: 0;
  list-style: none; font-size: .85rem; }
section > .legend { position: sticky; top: 0; z-index: 1; margin: 0; padding: .5rem 0;
  max-height: 22vh; overflow-y: auto; background: var(--paper); }
.legend li { display: flex; align-items: center; gap: .4rem; }
.legend svg { width: 26px; flex: none; }
.heat rect { stroke: var(--paper); stroke-width: 1.5; }
.heat text { pointer-events: none; fill: var(--ink); }
.heat text.on { fill: var(--paper); }
.heatmap { max-width: 46rem; }
.blocks { border: 1px solid var(--rule); }
.blocks path { stroke-width: 1; fill: none; shape-rendering: crispEdges; }
.network svg { min-width: min(640px, 100%); }
.network .note { white-space: pre-line; max-width: none; }
.classes th, .classes td { padding: .3rem .45rem; }
.classes h4 { margin-top: 0; }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr));
  gap: .8rem 1.6rem; }
.images { display: flex; flex-wrap: wrap; gap: .4rem; margin: .3rem 0; }
.images figure { width: 48px; }
.images img { width: 48px; height: 48px; image-rendering: pixelated; border-radius: .3rem;
  border: 1px solid var(--rule); background: #000; object-fit: contain; display: block; }
.images img.evidence { margin-top: .15rem; }
.images figcaption { font-weight: 400; font-size: .75rem; color: var(--soft); text-align: center;
  margin: 0; }
.maps { display: flex; flex-wrap: wrap; column-gap: 2.5rem; }
.map-row { display: flex; flex-wrap: wrap; max-width: 100%; gap: .8rem 1.2rem;
  align-items: flex-start; margin: .5rem 0 1rem; }
.map-row { padding-bottom: .8rem; border-bottom: 1px solid var(--rule); }
.tiled { flex: none; max-width: 100%; }
.map-row .tiled:first-child { width: 5.2rem; }
.tiled img { display: block; max-width: 100%; image-rendering: pixelated; border-radius: .2rem; }
.tiled img.input { width: 56px; height: 56px; object-fit: contain; background: #000; }
.tiled figcaption { font-weight: 400; font-size: .8rem; color: var(--soft); margin: .2rem 0 0; }
.gantt text { fill: var(--ink); }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr));
  column-gap: 2rem; margin: .8rem 0; font-size: .9rem; }
.facts div { display: flex; gap: 1rem; justify-content: space-between; padding: .25rem 0;
  border-bottom: 1px solid var(--rule); }
.facts dt { color: var(--soft); flex: none; }
.facts dd { margin: 0; text-align: right; min-width: 0; overflow-wrap: anywhere; }
pre { overflow-x: auto; background: var(--card); border-radius: .5rem; padding: .8rem 1rem;
  font: .85rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
  white-space: pre-wrap; overflow-wrap: anywhere; }
footer { margin-top: 3rem; border-top: 1px solid var(--rule); padding-top: .8rem; }
@media (max-width: 600px) {
  main { padding: 1.2rem .9rem 2rem; }
  table { font-size: .85rem; }
  th, td { padding: .3rem .38rem; }
  td:not(:first-child) { white-space: nowrap; }
  td .why { width: 16rem; white-space: normal; }
  .tiles li { padding: .7rem .8rem; }
  svg text { font-size: 15px; }
  svg text.name { font-size: 15px; }
  .heat text, .small svg text, .small svg text.name { font-size: 12px; }
  .scroll { margin-right: -.9rem; }
  tr > :first-child { max-width: 7.5rem; }
  .bar { display: none; }
}
@media print {
  :root { --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc; --card: #f3f3f3;
    --heat: 0, 90, 156;
    --c0: #0072b2; --c1: #d55e00; --c2: #009e73; --c3: #cc79a7; --c4: #b07d00; --c5: #56b4e9;
    --c6: #4d4d4d; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  @page { size: A4; margin: 13mm; }
  html, body { font-size: 8.5pt; line-height: 1.4; }
  main { max-width: none; padding: 0; }
  h2 { margin-top: 1.4rem; }
  h3 { margin-top: 1.1rem; }
  h4 { margin-top: .7rem; }
  footer { margin-top: 1rem; }
  .charts { grid-template-columns: 1fr 1fr; gap: .7rem 1.2rem; margin: .5rem 0; }
  .charts.small { grid-template-columns: repeat(4, 1fr); }
  .small svg text, .small svg text.name { font-size: 15px; }
  .heatmap { max-width: 20rem; }
  .heat text { font-size: 14px; }
  .look { grid-template-columns: 1fr 1fr 1fr; }
  .look > :nth-child(-n+2) { grid-row: span 2; }
  .look svg:not(.heat) text, .look svg:not(.heat) text.name { font-size: 17px; }
  .look .facts { grid-template-columns: 1fr; margin: .2rem 0; }
  .look .note { font-size: 7pt; }
  section > .legend { position: static; max-height: none; padding: .2rem 0; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; width: 100%; }
  th, td { padding: .15rem .35rem; }
  tr > :first-child { position: static; }
  .tiles { grid-template-columns: repeat(4, 1fr); margin: .7rem 0; }
  .tiles li { padding: .5rem .7rem; }
  .tiles b { font-size: 1.2rem; }
  .pairs { grid-template-columns: 1fr 1fr 1fr; gap: .3rem 1rem; }
  .images { gap: .15rem; }
  .images figure, .images img { width: 31px; }
  .images img { height: 31px; }
  .map-row { flex-wrap: nowrap; gap: .5rem; margin: .2rem 0; padding-bottom: .3rem; zoom: .6; }
  .facts { grid-template-columns: 1fr 1fr 1fr; font-size: 8pt; }
  .facts div { padding: .1rem 0; }
  pre { font-size: 7.5pt; padding: .4rem .6rem; }
  section > .tiled { zoom: .6; }
  .bar { width: 1.6rem; }
  figure, tr, .classes, .pairs > div, .map-row, .tiles, .facts div { break-inside: avoid; }
  h2, h3, h4, section > p, .note, section > .legend { break-after: avoid; }
}
)css";

}  // namespace atelier::client::report
