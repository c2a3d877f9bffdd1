"""The words of listings are indexed; those of the listings that are there are read once.

How texts are read as words is a copy of `models.text` as it is with this revision, so that this
migration does the same for ever. A test compares the two: it fails when the living rule is changed,
which takes another migration.
"""

import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Sequence
from time import monotonic

import sqlalchemy as sa
from alembic import op

from models.domain.errors import SetupError

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
WORD_TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
FIELDS = ("title", "attributes", "category", "description")

VECTOR = (
    "CAST('#' || CAST(number >> 14 AS text) || ' =' || replace(title, ' ', ' =')"
    " || ' ' || title || ' ' || attributes || ' ' || category || ' ' || description AS tsvector)"
)
FTS5 = """CREATE VIRTUAL TABLE listing_words USING fts5(
    words, content='', detail=none, columnsize=0, tokenize="ascii tokenchars '='"
)"""

ROWS_AT_ONCE = 2_000
WORDS_AT_ONCE = 200_000
"""Counts of words that are in memory together."""
SAY_AFTER_S, SAY_EVERY_S = 2.0, 10.0
"""Seconds until progress is told, and until it is told again."""

MAX_WORD, MAX_WORDS, MAX_DESCRIPTION_WORDS = 64, 500, 2_000
SHORTEST, LONGEST = 4, 32

# Diacritics of Latin, Greek and Cyrillic, vowel points of Hebrew and Arabic, which are left out as
# often as not, Arabic's tatweel, joiners and variation selectors. Not the marks of Indic scripts,
# which are vowels. й is a letter of its own, which decomposes into и and a breve.
DIACRITICS = re.compile(
    "(?<!\u0438)[\u0300-\u036f]|(?<=\u0438)[\u0300-\u0305\u0307-\u036f]"
    "|[\u00ad\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f\u0670"
    "\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d"
    "\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f]"
)
# What has no decomposition, and is typed without its stroke where keyboards lack it.
LETTERS = str.maketrans(
    {
        "æ": "ae",
        "œ": "oe",
        "ø": "o",
        "ł": "l",
        "đ": "d",
        "ð": "d",
        "ħ": "h",
        "\u0131": "i",
        "þ": "th",
    }
)
APOSTROPHE = re.compile(r"(?<=[^\W\d_])['\u2019\u02bc](?=[^\W\d_])")
VOWEL_SIGNS = "".join(
    chr(code)
    for first, last in ((0x900, 0x1CFF), (0xA800, 0xABFF), (0x10A00, 0x11FFF))
    for code in range(first, last + 1)
    if unicodedata.category(chr(code)) in {"Mn", "Mc"}
)
WORD = re.compile(rf"[\w\u3099\u309a{VOWEL_SIGNS}]+")
# Han, kana, bopomofo, Hangul; Thai, Lao, Burmese, Khmer.
UNSPACED = re.compile(
    "([\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u3100-\u312f\u31a0-\u31bf"
    "\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uf900-\ufaff\U00020000-\U0003ffff]+)"
)


LISTINGS = sa.table(
    "listings",
    sa.column("number", BIG_ID),
    *(sa.column(name, sa.Text()) for name in ("title", "description", "status")),
    sa.column("attributes", sa.JSON()),
    sa.column("category_id", sa.Integer()),
)
CATEGORIES = sa.table("categories", *map(sa.column, ("id", "path")))


def fold(text: str) -> str:
    if text.isascii():
        return text.lower()
    text = unicodedata.normalize("NFKC", DIACRITICS.sub("", text)).casefold()
    decomposed = unicodedata.normalize("NFKD", text).translate(LETTERS)
    return unicodedata.normalize("NFC", DIACRITICS.sub("", decomposed))


def words_of(text: str, limit: int) -> list[str]:
    folded = APOSTROPHE.sub("", fold(text).replace("_", " "))
    words = WORD.findall(folded)[:limit]
    if text.isascii():
        return [word[:MAX_WORD] for word in words]
    return [part[:MAX_WORD] for word in words for part in parts_of(word)][:limit]


def parts_of(word: str) -> list[str]:
    parts = []
    for part in UNSPACED.split(word):
        if UNSPACED.fullmatch(part):
            parts += [*(part[n : n + 2] for n in range(len(part) - 1)), part[-1]]
        elif part:
            parts.append(part)
    return parts


def text_of(attributes: dict[str, object]) -> str:
    parts: list[str] = []
    for name, value in sorted(attributes.items()):
        if isinstance(value, bool):
            parts += [name] if value else []
        else:
            parts += value if isinstance(value, list) else [str(value)]
    return " ".join(parts)


def listing_words(
    title: str, attributes: dict[str, object], category: str | None, description: str
) -> tuple[str, str, str, str]:
    return (
        " ".join(words_of(title, MAX_WORDS)),
        " ".join(words_of(text_of(attributes), MAX_WORDS)),
        " ".join(words_of(category or "", MAX_WORDS)),
        " ".join(words_of(description, MAX_DESCRIPTION_WORDS)),
    )


def trigrams(word: str) -> list[str]:
    if not SHORTEST <= len(word) <= LONGEST or not word.isalpha() or UNSPACED.fullmatch(word):
        return []
    padded = f"  {word} "
    return list(dict.fromkeys(padded[n : n + 3] for n in range(len(padded) - 2)))


def upgrade() -> None:
    connection = op.get_bind()
    on_postgresql = connection.dialect.name == "postgresql"
    texts = _create_tables()
    if on_postgresql:
        connection.execute(sa.text("LOCK TABLE listings, categories IN SHARE ROW EXCLUSIVE MODE"))
    else:
        _create_virtual_table(connection)
    index_listings(connection, texts)
    if on_postgresql:
        # Each search reads what is pending: a little of it makes writing faster all the same.
        op.execute(
            f"CREATE INDEX ix_listing_texts_words ON listing_texts USING gin (({VECTOR})) "
            "WITH (gin_pending_list_limit = 512)"
        )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE listing_words")
    for table in ("text_trigrams", "text_words", "listing_texts"):
        op.drop_table(table)


def _create_tables() -> sa.Table:
    texts = op.create_table(
        "listing_texts",
        sa.Column("number", BIG_ID, autoincrement=False, nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in FIELDS),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_listing_texts")),
    )
    op.create_table(
        "text_words",
        sa.Column("word", WORD_TEXT, nullable=False),
        sa.Column("listings", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("word", name=op.f("pk_text_words")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "text_trigrams",
        sa.Column("trigram", WORD_TEXT, nullable=False),
        sa.Column("word", WORD_TEXT, nullable=False),
        sa.PrimaryKeyConstraint("trigram", "word", name=op.f("pk_text_trigrams")),
        sqlite_with_rowid=False,
    )
    return texts


def _create_virtual_table(connection: sa.Connection) -> None:
    try:
        connection.exec_driver_sql(FTS5)
    except sa.exc.OperationalError as error:
        if "no such module" not in str(error):
            raise
        raise SetupError(
            "This Python's SQLite has no FTS5, which text is searched with: use another build of "
            "Python, or PostgreSQL (MARKETLENS_DATABASE_URL)."
        ) from error


def index_listings(connection: sa.Connection, texts: sa.Table) -> None:
    """Read all listings, a part at a time; says how far it is if it takes long."""
    paths = dict(connection.execute(sa.select(CATEGORIES.c.id, CATEGORIES.c.path)).all())
    counts: Counter[str] = Counter()
    done, last, total, due = 0, -1, None, monotonic() + SAY_AFTER_S
    while part := _next_listings(connection, last):
        rows = {
            row.number: listing_words(
                row.title, row.attributes, paths.get(row.category_id), row.description
            )
            for row in part
            if row.status != "deleted"
        }
        _insert(connection, texts, rows, counts)
        if len(counts) > WORDS_AT_ONCE:
            _count(connection, counts)
            counts.clear()
        done, last = done + len(part), part[-1].number
        if monotonic() > due:
            # Counted only here: most databases are done before.
            total = total or connection.scalar(sa.select(sa.func.count()).select_from(LISTINGS))
            sys.stderr.write(f"Words are indexed: {done:,} of {total:,} listings.\n")
            due = monotonic() + SAY_EVERY_S
    _count(connection, counts)


def _next_listings(connection: sa.Connection, last: int) -> Sequence[sa.Row]:
    statement = sa.select(LISTINGS).where(LISTINGS.c.number > last).order_by(LISTINGS.c.number)
    return connection.execute(statement.limit(ROWS_AT_ONCE)).all()


def _insert(
    connection: sa.Connection,
    texts: sa.Table,
    rows: dict[int, tuple[str, str, str, str]],
    counts: Counter[str],
) -> None:
    if not rows:
        return
    of_fields = [
        {"number": number, **dict(zip(FIELDS, fields, strict=True))}
        for number, fields in rows.items()
    ]
    connection.execute(texts.insert(), of_fields)
    indexed = []
    for number, fields in rows.items():
        distinct = set(" ".join(fields).split())
        counts.update(distinct)
        in_title = {f"={word}" for word in fields[0].split()}
        indexed.append((number, " ".join(distinct | in_title)))
    if connection.dialect.name == "sqlite":
        statement = "INSERT INTO listing_words (rowid, words) VALUES (?, ?)"
        connection.exec_driver_sql(statement, indexed)


def _count(connection: sa.Connection, counts: Counter[str]) -> None:
    """Add to the counts of words, and insert the trigrams of new ones."""
    if not counts:
        return
    connection.execute(
        sa.text(
            "INSERT INTO text_words (word, listings) VALUES (:word, :listings) "
            "ON CONFLICT (word) DO UPDATE SET listings = text_words.listings + :listings"
        ),
        [{"word": word, "listings": count} for word, count in counts.items()],
    )
    rows = [
        {"trigram": trigram, "word": word} for word in sorted(counts) for trigram in trigrams(word)
    ]
    if rows:
        connection.execute(
            sa.text(
                "INSERT INTO text_trigrams (trigram, word) VALUES (:trigram, :word) "
                "ON CONFLICT DO NOTHING"
            ),
            rows,
        )
