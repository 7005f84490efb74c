"""Guesses of a file's columns and notation, which the user confirms."""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import Any

from ...base.money import LONGEST_INPUT, NUMBER_FORMATS, AmbiguousAmount, AmountError
from ..kinds import ImportKind
from .cells import YEAR_FIRST, CellError, WorkbookNumber, WorkbookTrouble, without_time
from .layout import DATE_FORMATS, Layout, Notation, normalised
from .reading import CsvFile, ImportColumn
from .sources import Source

SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "account_manager_email": (
        "account manager", "manager email", "manager", "email manajer", "manajer akun", "manajer",
        "email account manager",
    ),
    "assigned_from": ("from", "since", "valid from", "dari", "sejak", "mulai", "berlaku mulai"),
    "assigned_to": ("to", "until", "valid to", "sampai", "hingga", "berlaku sampai"),
    "additions": ("addition", "penambahan", "tambahan"),
    "city": ("town", "kota"),
    "closing_date": ("closed", "closed on", "date closed", "tanggal tutup", "tanggal penutupan", "ditutup"),
    "accounts.code": ("account", "account code", "account number", "kode", "kode akun", "no akun", "nomor akun"),
    "customers.code": (
        "customer code", "customer id", "customer number", "kode", "kode pelanggan", "no pelanggan", "id pelanggan",
    ),
    "products.code": ("product code", "product id", "sku", "kode", "kode produk", "kode barang"),
    "contact_name": ("contact", "contact person", "kontak", "nama kontak", "narahubung"),
    "country": ("negara",),
    "customer_code": ("customer", "customer id", "customer number", "kode pelanggan", "pelanggan", "id pelanggan"),
    "description": ("item", "text", "uraian", "keterangan", "deskripsi", "nama barang"),
    "due_on": ("due", "due date", "jatuh tempo", "tanggal jatuh tempo", "tgl jatuh tempo"),
    "effective_from": ("from", "valid from", "berlaku mulai", "berlaku sejak", "mulai"),
    "email": ("e mail", "email address", "mail", "surel", "alamat email"),
    "fixed_charge": ("standing charge", "fixed", "base charge", "abonemen", "biaya tetap", "biaya beban"),
    "invoice_number": (
        "invoice", "invoice no", "bill", "bill number", "faktur", "no faktur", "nomor faktur", "tagihan",
        "no tagihan", "nomor tagihan",
    ),
    "invoices.amount": ("total", "invoice amount", "jumlah", "nilai", "jumlah tagihan", "total tagihan"),
    "invoices.number": (
        "invoice", "invoice number", "invoice no", "bill", "bill number", "no", "nomor", "faktur", "no faktur",
        "nomor faktur", "no tagihan", "nomor tagihan",
    ),
    "is_active": ("active", "aktif", "status", "status aktif"),
    "issued_on": ("date", "issued", "issue date", "invoice date", "tanggal", "tanggal faktur", "tanggal tagihan"),
    "kind": ("type", "component", "jenis", "tipe", "komponen"),
    "meter_number": (
        "meter", "meter no", "meter id", "number", "no meter", "nomor meter", "id meter", "meteran", "no meteran",
    ),
    "method": ("payment method", "paid by", "metode", "cara bayar", "metode pembayaran"),
    "name": (
        "customer name", "company", "company name", "full name", "nama", "nama pelanggan", "nama lengkap",
        "perusahaan", "product name", "nama produk",
    ),
    "number": ("order number", "order no", "order", "no", "nomor", "nomor pesanan", "no pesanan", "nomor order"),
    "order_date": ("date", "ordered", "ordered on", "tanggal", "tanggal pesanan", "tanggal order", "tgl pesanan"),
    "order_number": ("order", "order no", "number", "no", "nomor pesanan", "no pesanan", "nomor order"),
    "paid_on": ("date", "paid", "payment date", "received on", "tanggal", "tanggal bayar", "tanggal pembayaran"),
    "payments.amount": ("paid amount", "payment", "jumlah", "nilai", "jumlah bayar", "pembayaran"),
    "phone": ("telephone", "phone number", "mobile", "telepon", "no telepon", "hp"),
    "product_code": ("product", "sku", "kode produk", "produk", "kode barang"),
    "promo": ("promotion", "discount", "diskon", "promosi"),
    "quantity": ("qty", "amount ordered", "jumlah", "kuantitas", "banyaknya"),
    "rate": ("price", "unit price", "price per unit", "tariff", "tarif", "harga", "harga satuan"),
    "reductions": ("reduction", "pengurangan", "potongan"),
    "reference": (
        "ref", "payment reference", "receipt", "receipt number", "payment number", "no", "referensi", "no referensi",
        "kuitansi", "no kuitansi", "nomor pembayaran",
    ),
    "total_price": ("package price", "package", "paket awal", "harga paket", "paket"),
    "unit_price": ("price", "price per unit", "harga", "harga satuan"),
    "units": ("usage", "consumption", "quantity", "pemakaian", "jumlah pemakaian", "volume"),
}  # fmt: skip
"""Known column → its names in other programs, in English and Indonesian.

A column with a special meaning in a kind of file has that kind as its prefix.
"""

_BETWEEN_WORDS = re.compile(r"[\W_]+")


def guess_columns(
    header: Iterable[str], kind: ImportKind, exported: Mapping[str, str] = MappingProxyType({})
) -> dict[str, str]:
    """The likely known column of each name in a header; each known column once.

    `exported` are the heads of our own files of the kind, with the column that each means. Those that mean none are
    mapped to "", to be ignored: totals, and names with their code beside them.

    A name that fits nothing is left out, for the user to decide.
    """
    names = dict.fromkeys(map(normalised, header))
    free = [column.name for column in kind.columns]
    found: dict[str, str] = {}
    heads = {_plain(head): name for head, name in exported.items()}
    for ways in (_own_names, partial(_heads, heads), partial(_synonyms, kind.name)):
        for name in names:
            plain = _plain(name)
            target = next(
                (known for known in free if name not in found and plain in ways(known)), None
            )
            if target:
                found[name] = target
                free.remove(target)
    unused = {name: "" for name in names if name not in found and heads.get(_plain(name)) == ""}
    return {**found, **unused}


def _own_names(column: str) -> Sequence[str]:
    return (_plain(column),)


def _heads(heads: Mapping[str, str], column: str) -> Sequence[str]:
    return [head for head, name in heads.items() if name == column]


def _synonyms(kind: str, column: str) -> Sequence[str]:
    names = SYNONYMS.get(f"{kind}.{column}") or SYNONYMS.get(column, ())
    return [_plain(name) for name in names]


def _plain(name: str) -> str:
    """A name in lower case without spaces, underscores and other signs."""
    return _BETWEEN_WORDS.sub("", name.casefold())


def guess_layout(
    sources: Sequence[Source],
    kind: ImportKind,
    layout: Layout,
    exported: Mapping[str, str] = MappingProxyType({}),
) -> Layout:
    """`layout` with guesses for columns that it lacks, and the notation of all cells in these columns.

    `exported` are the heads of our own files, as in `guess_columns`.
    `dates` or `numbers` are empty where the cells can be read in two ways.
    """
    files = [CsvFile(source, kind.columns, layout) for source in sources]
    header = [
        cell for file in files for cell in (file.header[:-1] if file.is_returned else file.header)
    ]
    columns = {**guess_columns(header, kind, exported), **layout.columns}
    if "" in map(normalised, header):
        columns.setdefault(
            "", ""
        )  # a delimiter at the end of each line makes a column without a name
    complete = replace(layout, columns=columns)
    return replace(complete, notation=recognised_notation(sources, kind, complete))


def recognised_notation(sources: Sequence[Source], kind: ImportKind, layout: Layout) -> Notation:
    """The notation of the cells that `layout` maps to days and numbers; empty where there are two."""
    cells = _cells_of(sources, kind, layout)
    days, numbers = _holding("day", cells), _holding("number", cells)
    dates = _fitting((*DATE_FORMATS, YEAR_FIRST), lambda way: Notation(dates=way), days)
    return Notation(
        "iso" if dates == YEAR_FIRST else dates,  # which refuses such days
        _fitting(NUMBER_ORDER, lambda way: Notation(numbers=way), numbers),
    )


NUMBER_ORDER = sorted(NUMBER_FORMATS, key=lambda name: name != "plain")
"""Number formats, the documented one first."""

Cells = Mapping[ImportColumn, Sequence[str]]

_ANY_DIGIT = str.maketrans("23456789", "11111111")
"""Digits but 0 do not matter for the notation: without them, millions of numbers are a few cells to be read."""

MOST_DISTINCT = 10_000
"""The most distinct cells of a column that are read for the notation; beyond them it is asked."""


def _cells_of(sources: Sequence[Source], kind: ImportKind, layout: Layout) -> Cells:
    """The filled cells of days and numbers, without those of a workbook, which are unambiguous.

    Without numbers too long for any notation, and not many more of a column than are read.
    """
    found: dict[ImportColumn, set[str]] = {}
    for source in sources:
        file = CsvFile(source, kind.columns, layout)
        places = [(n, c) for n, c in enumerate(file.meanings) if c and c.holds != "text"]
        for row in file.rows() if places else ():
            for place, column in places:
                cell = row.cells[place].strip() if place < len(row.cells) else ""
                if cell and not isinstance(cell, WorkbookNumber | WorkbookTrouble):
                    values = found.setdefault(column, set())
                    if len(values) > MOST_DISTINCT:
                        continue
                    if column.holds == "day":
                        values.add(without_time(cell))
                    elif len(cell) <= LONGEST_INPUT:
                        values.add(cell.translate(_ANY_DIGIT))
    return {column: sorted(values) for column, values in found.items()}


def _holding(what: str, cells: Cells) -> Cells:
    return {column: values for column, values in cells.items() if column.holds == what}


def _fitting(ways: Iterable[str], notation: Callable[[str], Notation], cells: Cells) -> str:
    """The notation that reads all cells, else the one that reads most; empty where two read one differently.

    Cells that none can read are ignored. Empty, too, where there are too many to read them all.
    """
    if any(len(values) > MOST_DISTINCT for values in cells.values()):
        return ""
    read = {way: _read(notation(way), cells) for way in ways}
    size = {way: sum(value is not None for value in values) for way, values in read.items()}
    best = max(size, key=lambda way: size[way])
    is_read = [any(v is not None for v in values) for values in zip(*read.values(), strict=True)]
    whole = [way for way in read if size[way] == sum(is_read)]
    compared = zip(*(read[way] for way in whole or read), strict=True)
    return "" if any(len({*values} - {None}) > 1 for values in compared) else best


def _read(notation: Notation, cells: Cells) -> list[Any]:
    return [_value(column, notation, cell) for column, values in cells.items() for cell in values]


def _value(column: ImportColumn, notation: Notation, cell: str) -> Any:
    """The value of a cell in `notation`, even where it may be thousands; None where it cannot be read."""
    try:
        return column.reader(notation)(cell)
    except AmbiguousAmount as refusal:
        return refusal.literal
    except (CellError, AmountError):
        return None
