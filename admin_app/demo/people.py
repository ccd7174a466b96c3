"""The people of the made-up desk: twelve agents, an auditor, a developer, and the shops that are its customers."""

import unicodedata
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from admin_app.demo.words import words

CUSTOMERS = 300
SHOPS = 170
VIP_SHOPS = 14
STRANGERS = ("Growth Partners", "SEO Team", "Prime Business Funding")
"""Among the customers, those who only send advertisements; staff have switched them off."""

DOMAINS = ("example.com", "example.org", "example.net")
"""The domains that are reserved for examples; nobody can ever be reached there."""


@dataclass(frozen=True)
class Shop:
    """Where a customer works, and what is sold there."""

    name: str
    kind: str
    city: str
    street: str
    items: tuple[str, ...]
    vip: bool


@dataclass(eq=False, kw_only=True)
class Person:
    """Somebody of the made-up desk; staff have a role, customers a shop. `id` is known once they are stored."""

    name: str
    email: str
    created_at: datetime
    role: str | None = None
    topics: tuple[str, ...] = ()
    shop: Shop | None = None
    hasty: bool = False
    active: bool = True
    last_login: datetime | None = None
    id: int = field(default=0)

    @property
    def first(self) -> str:
        return self.name.split()[0]


def staff(random: Random, now: datetime) -> list[Person]:
    """Twelve agents, two of whom are leads, then the auditor and the developer."""
    agents = [
        Person(
            name=facts["name"],
            email=facts.get("email") or f"{_plain(facts['name']).replace(' ', '.')}@example.com",
            role=facts["role"],
            topics=tuple(facts["topics"]),
            created_at=now - timedelta(days=random.uniform(380, 1500)),
            last_login=now - timedelta(hours=random.uniform(1, 30)),
        )
        for facts in words().people["agents"]
    ]
    others = [
        Person(
            name=name, email=f"{role}@example.com", role=role, created_at=now - timedelta(days=random.uniform(380, 900))
        )
        for name, role in (("Ingrid Falk", "auditor"), ("Dev Raman", "developer"))
    ]
    return agents + others


def customers(random: Random, now: datetime, taken: set[str]) -> list[Person]:
    """The people of 170 shops, with addresses that nobody else has; some type in haste. The last ones are strangers."""
    shops = _shops(random)
    names = words().people
    found: list[Person] = []
    for number in range(CUSTOMERS - len(STRANGERS)):
        shop = shops[number] if number < SHOPS else random.choice(shops)
        name = f"{random.choice(names['first_names'])} {random.choice(names['last_names'])}"
        email = _address(random, name, shop, taken)
        joined = now - timedelta(days=random.uniform(5, 1200))
        found.append(Person(name=name, email=email, shop=shop, created_at=joined, hasty=random.random() < 0.09))
    return found + [_stranger(random, now, name) for name in STRANGERS]


def _stranger(random: Random, now: datetime, name: str) -> Person:
    email = f"{_plain(name).replace(' ', '.')}@{random.choice(DOMAINS)}"
    return Person(name=name, email=email, created_at=now - timedelta(days=random.uniform(370, 400)), active=False)


def _shops(random: Random) -> list[Shop]:
    facts = words().people
    signs = [
        (word, kind, name)
        for kind, about in facts["kinds"].items()
        for name in about["names"]
        for word in facts["shop_words"]
    ]
    random.shuffle(signs)
    return [
        Shop(
            name=f"{word} {name}",
            kind=kind,
            city=random.choice(facts["cities"]),
            street=f"{random.randrange(1, 120)} {random.choice(facts['streets'])}",
            items=tuple(facts["kinds"][kind]["items"]),
            vip=number < VIP_SHOPS,
        )
        for number, (word, kind, name) in enumerate(signs[:SHOPS])
    ]


def _address(random: Random, name: str, shop: Shop, taken: set[str]) -> str:
    first, last = _plain(name).split(" ", 1)
    sign = "".join(letter for letter in _plain(shop.name) if letter.isalnum())
    forms = [
        f"{first}.{last}",
        f"{first[0]}.{last}",
        f"{first}-{sign}",
        f"{sign}.{last}",
        f"{first}{last}",
        f"info.{sign}",
    ]
    while True:
        local = random.choices(forms, (8, 3, 2, 1, 2, 1))[0]
        address = f"{local}@{random.choice(DOMAINS)}"
        if address not in taken:
            taken.add(address)
            return address
        forms = [f"{first}.{last}{random.randrange(2, 99)}"] * len(forms)


def _plain(name: str) -> str:
    """A name in the letters of an e-mail address."""
    folded = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("ß", "ss"))
    return "".join(letter for letter in folded if letter.isascii() and (letter.isalnum() or letter in " -")).lower()
