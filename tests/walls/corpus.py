"""What people, pastes and attackers type (reliability.md section 5)."""

MEBIBYTE = "x" * (1 << 20)

TEXTS = (
    "", " ", "\u00a0", "a", "x" * 61, "x" * 300, MEBIBYTE, "\0", "a\0b", "\u202egnp.exe", "a\u200bb", "Z\u0351\u036b\u0343", "👩‍👩‍👧‍👦", "שלום",
    "e\u0301", "é", "ı", "İ", "１２", "1_0", "+1", "1e3", "-0", "NaN", "Infinity", "100000000000000000000", "-1", "1.5",
    "<script>alert(1)</script>", '"><img src=x onerror=1>', "' onfocus=1 autofocus x='", "</title>", "<!--", "{{7*7}}", "{% debug %}", "${7*7}",
    "javascript:alert(1)", '=HYPERLINK("http://evil.example")', "+cmd|' /C calc'!A0", "-1+1", "@SUM(1)", "\t=1", "' OR 1=1--", "%", "_", "\\", "%%%",
    "../../etc/passwd", "C:\\con", "a\r\nSet-Cookie: a=b", "a\nb", '" hx-get="/signout/" hx-trigger="load', "]]>", "&lt;b&gt;", "&amp;", "\x1b[31m",
    "\ufeff", "\uffff", "\U0010ffff",
)  # fmt: skip

# Bytes that no UTF-8 text holds, as they arrive in a form body.
RAW = (b"%ED%A0%80", b"%FF%FE", b"%C0%AF", b"%F8%88%80%80%80", b"%", b"%zz", b"%00", b"+", b"%E2%80%AE")
