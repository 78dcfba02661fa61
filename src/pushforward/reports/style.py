"""How a page of a report looks: light and dark as the reader's system asks, at any width."""

STYLE = """
:root { color-scheme: light dark; --page: #fff; --text: #1f2328; --pale: #57606a; --line: #d0d7de; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --page: #15181c; --text: #dfe3e8; --pale: #a3adb8; --line: #3b424a; --link: #7cb7ff; }
}
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem; background: var(--page);
  color: var(--text); overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; } h2 { font-size: 1.25rem; margin-top: 2.5rem; } h3 { font-size: 1rem; }
nav a { color: var(--link); display: inline-block; padding: .2rem 1rem .2rem 0; }
.wide { overflow-x: auto; margin: 1rem 0; } .wide:focus-visible { outline: 2px solid var(--link); }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
caption { text-align: left; white-space: nowrap; color: var(--pale); padding-bottom: .3rem; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; }
.number { text-align: right; white-space: nowrap; }
figure { margin: 1.5rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px; }
figcaption, footer { color: var(--pale); margin-top: .4rem; } footer { margin-top: 3rem; font-size: .9rem; }
"""
