# SPDX-License-Identifier: MIT
"""Parses and builds flattened device trees.

Devicetree Specification, chapter 5. A Node has a name, properties as bytes by
name, and children.
"""

import struct

MAGIC = 0xd00dfeed
BEGIN, END, PROP, NOP, FINISH = 1, 2, 3, 4, 9
HEADER = struct.Struct(">10I")


class Node:
    """One node of a tree."""

    def __init__(self, name, props=None, children=None):
        self.name = name
        self.props = props or {}
        self.children = children or []

    def child(self, name):
        return next(c for c in self.children if c.name == name)


def align(n):
    return n + 3 & ~3


def parse(data):
    """The root node of a tree."""
    _, _, at, strings = HEADER.unpack_from(data)[:4]

    def u32(pos):
        return struct.unpack_from(">I", data, pos)[0]

    def text(pos):
        return data[pos:data.index(b"\0", pos)].decode()

    stack = [Node("")]
    while (token := u32(at)) != FINISH:
        at += 4
        if token == BEGIN:
            node = Node(text(at))
            at += align(len(node.name) + 1)
            stack[-1].children.append(node)
            stack.append(node)
        elif token == END:
            stack.pop()
        elif token == PROP:
            size, name = u32(at), text(strings + u32(at + 4))
            stack[-1].props[name] = data[at + 8:at + 8 + size]
            at += 8 + align(size)
    return stack[0].children[0]


def build(root):
    """The tree of a root node."""
    names, body = bytearray(), bytearray()

    def padded(b):
        return b + bytes(align(len(b)) - len(b))

    def put(node):
        body.extend(struct.pack(">I", BEGIN) +
                    padded(node.name.encode() + b"\0"))
        for name, value in node.props.items():
            body.extend(struct.pack(">III", PROP, len(value), len(names)) +
                        padded(value))
            names.extend(name.encode() + b"\0")
        for c in node.children:
            put(c)
        body.extend(struct.pack(">I", END))

    put(root)
    body.extend(struct.pack(">I", FINISH))
    tree = HEADER.size + 16         # after an empty list of reservations
    total = tree + len(body) + len(names)
    return HEADER.pack(MAGIC, total, tree, tree + len(body), HEADER.size, 17,
                       16, 0, len(names), len(body)) + bytes(16) + body + names


def u32(*values):
    return struct.pack(f">{len(values)}I", *values)


def u64(*values):
    return struct.pack(f">{len(values)}Q", *values)
