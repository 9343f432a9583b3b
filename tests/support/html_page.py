"""A page as a program reads it."""

import html.parser
import re

VOID = {"meta", "img", "source", "br", "link", "line"}


class Page(html.parser.HTMLParser):
    """Refuses tags that do not balance; keeps tables, references and the embedded record."""

    def __init__(self):
        super().__init__()
        self.open, self.tables, self.references, self.data, self.alts = [], [], [], "", []

    @classmethod
    def of(cls, text):
        page = cls()
        page.feed(text)
        page.close()
        return page

    def check(self, text, *beside):
        """Tags balance, pictures have words, and nothing is loaded but files beside the page."""
        assert self.open == []
        assert self.alts
        assert all(self.alts)
        assert all(one in beside or one.startswith("data:image/") for one in self.references)
        assert not re.search(r"https?://|@import|url\(", text)

    def handle_starttag(self, tag, attrs):
        self.references += [v for k, v in attrs if k in {"src", "href", "srcset", "action", "poster", "data"}]
        if tag == "img":
            self.alts.append(dict(attrs).get("alt"))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in {"td", "th"}:
            self.tables[-1][-1].append("")

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] == "script":
            self.data += data
        elif {"td", "th"} & set(self.open):
            self.tables[-1][-1][-1] += data
