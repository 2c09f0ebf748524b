"""Reads back what a run of Millrace wrote: JSON lines and the row counts of Parquet files. Standard library only."""

import json
import os
import struct


def files(folder, ending):
    """Complete files and those that a killed process left under their temporary name."""
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in names if name.endswith((ending, ending + ".tmp"))]


def json_rows(folder):
    """Every whole line of every file; a line that a killed process left unfinished is counted apart."""
    rows, torn = [], 0
    for path in files(folder, ".jsonl"):
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    torn += 1
    return rows, torn


def parquet_rows(folder):
    """Rows by kind as the files' footers say, and how many files have no footer."""
    rows, headless = {}, 0
    for path in files(folder, ".parquet"):
        kind = os.path.basename(path).split("-")[0]
        try:
            rows[kind] = rows.get(kind, 0) + parquet_count(path)
        except (ValueError, IndexError, struct.error):
            headless += 1
    return rows, headless


def parquet_count(path):
    """`num_rows` of the footer: thrift compact protocol, FileMetaData field 3 (parquet.thrift)."""
    with open(path, "rb") as file:
        octets = file.read()
    if len(octets) < 12 or octets[-4:] != b"PAR1":
        raise ValueError("no footer")
    length = struct.unpack("<I", octets[-8:-4])[0]
    return Compact(octets[-8 - length : -8]).field(3)


class Compact:
    """As much of thrift's compact protocol as a footer needs."""

    def __init__(self, octets):
        self.octets, self.at = octets, 0

    def byte(self):
        self.at += 1
        return self.octets[self.at - 1]

    def varint(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def fields(self):
        """Number and type of each field; the caller must read or skip its value."""
        number = 0
        while header := self.byte():
            delta, kind = header >> 4, header & 15
            number = number + delta if delta else self.zigzag()
            yield number, kind

    def zigzag(self):
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def field(self, wanted):
        for number, kind in self.fields():
            if number == wanted:
                return self.zigzag()
            self.skip(kind)
        raise ValueError("field missing")

    def skip(self, kind):
        if kind in (1, 2):  # booleans live in the header
            return
        if kind == 3:
            self.byte()
        elif kind in (4, 5, 6):
            self.varint()
        elif kind == 7:
            self.at += 8
        elif kind == 8:
            length = self.varint()
            self.at += length
        elif kind in (9, 10):
            header = self.byte()
            count = header >> 4
            if count == 15:
                count = self.varint()
            for _ in range(count):
                if header & 15 in (1, 2):
                    self.byte()
                else:
                    self.skip(header & 15)
        elif kind == 12:
            for _, inner in self.fields():
                self.skip(inner)
        else:
            raise ValueError(f"thrift type {kind}")
