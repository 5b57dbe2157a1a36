"""Draws what `compare` found, as SVG that reads on light and dark pages."""

WIDTH, ROW, LEFT, RIGHT = 760, 26, 190, 110
OURS, OTHERS = "#7b61ff", "#9aa4b2"


def bars(rows, top, title):
    """A title, and a bar for each server, from `top` down; what was drawn, and where it ends."""
    longest = max(row["cpu"] for row in rows.values())
    drawn = [f'<text x="8" y="{top + 18}" font-weight="600">{title}</text>']
    at = top + 32
    for name, row in rows.items():
        length = max(1, row["cpu"] / longest * (WIDTH - LEFT - RIGHT))
        color = OURS if name.startswith("wasmserve") else OTHERS
        drawn += [
            f'<text x="{LEFT - 8}" y="{at + 15}" text-anchor="end">{name}</text>',
            f'<rect x="{LEFT}" y="{at + 3}" width="{length:.1f}" height="16" rx="3" fill="{color}"/>',
            f'<text x="{LEFT + length + 8:.1f}" y="{at + 15}">{row["cpu"]:,.0f} us</text>',
        ]
        at += ROW
    return drawn, at + 12


def draw(found):
    titles = {
        "hello": "CPU per request: Hello, world! from a Rust guest",
        "fastapi": "CPU per request: FastAPI",
    }
    drawn, at = [], 0
    for part, title in titles.items():
        if rows := found.get(part):
            more, at = bars(rows, at, title)
            drawn += more
    style = "text{font:13px system-ui,sans-serif;fill:#57606a}@media(prefers-color-scheme:dark){text{fill:#c9d1d9}}"
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {at}" width="{WIDTH}" height="{at}">',
        f"<style>{style}</style>", *drawn, "</svg>", "",
    ])
