"""The facts of one made-up ticket: names, numbers, amounts and times, the same wherever the ticket mentions them."""

from datetime import datetime, timedelta
from random import Random

from admin_app.demo.people import Person
from admin_app.demo.words import Case, Topic, words

PLANS = {"Till Starter": 19, "Till Shop": 49, "Till Chain": 129}
CARRIERS = ("Northline", "ParcelHop", "Grey Swift")
BROWSERS = ("Chrome", "Firefox", "Safari", "Edge")
SYSTEMS = ("Windows 11", "Windows 10", "macOS 14", "an iPad", "an Android tablet")
PHONES = ("iPhone 12", "iPhone 13", "iPhone 15", "Galaxy A54", "Galaxy S22", "Pixel 7", "Pixel 8a")
ENDPOINTS = ("/v2/articles", "/v2/sales", "/v2/stock", "/v2/customers", "/v2/receipts")
SERIALS = {"printer": "TP", "scanner": "SC", "cards": "CD"}
OPENED = datetime.fromisoformat("2019-03-04T00:00:00+00:00")
"""When the made-up company sold its first till; orders and invoices are numbered from then on."""


def facts_of(random: Random, requester: Person, topic: Topic, case: Case, at: datetime) -> dict[str, str]:
    """What the texts of one ticket may mention in braces; `agent` is added by whoever speaks."""
    plan = random.choice(list(PLANS))
    shop = requester.shop
    return {
        **_numbers(random, at),
        "serial": f"{SERIALS.get(topic.name, 'TF')}-{random.randrange(16**6):06X}",
        **_times(random, at),
        "name": requester.name,
        "first": requester.first,
        "email": requester.email,
        "shop": shop.name if shop else requester.name,
        "city": shop.city if shop else "",
        "street": shop.street if shop else "",
        "item": random.choice(shop.items) if shop else "",
        "staff": random.choice(words().people["employees"]),
        "product": random.choice(topic.products),
        "plan": plan,
        "amount": f"€{PLANS[plan]}.00",
        "small": f"€{random.randrange(3, 40)}.{random.choice(('00', '50', '90', '20'))}",
        "total": f"€{random.randrange(60, 640)}.{random.choice(('00', '00', '90', '45'))}",
        "carrier": random.choice(CARRIERS),
        "browser": random.choice(BROWSERS),
        "system": random.choice(SYSTEMS),
        "phone": random.choice(PHONES),
        "endpoint": random.choice(ENDPOINTS),
        "title": case.titles[0],
    }


def _numbers(random: Random, at: datetime) -> dict[str, str]:
    """Numbers of all kinds; those that a company counts up grow with time."""
    days = (at - OPENED).days
    few = random.randrange(2, 7)
    return {
        "order": f"#{21_000 + days * 23 + random.randrange(20):05d}",
        "invoice": f"INV-{at.year}-{at.timetuple().tm_yday * 12 + random.randrange(12):05d}",
        "receipt": str(random.randrange(10_000, 99_999)),
        "version": f"{4 + days // 900}.{days // 30 % 30}.{random.randrange(4)}",
        "next": f"{4 + days // 900}.{days // 30 % 30 + 1}.0",
        "dev": str(300 + days // 2 + random.randrange(40)),
        "tracking": f"{random.randrange(100, 999)} {random.randrange(1000, 9999)} {random.randrange(1000, 9999)}",
        "code": f"{random.choice('EPNT')}-{random.randrange(100, 420)}",
        "ean": f"40{random.randrange(10**11):011d}",
        "four": f"{random.randrange(10_000):04d}",
        "hexa": f"{random.randrange(16**8):08x}",
        "few": str(few),
        "few2": str(few + random.randrange(1, 5)),
        "many": str(random.randrange(14, 190)),
        "percent": str(random.choice((5, 10, 15, 20, 25, 30))),
        "phone_number": f"0555 01{random.randrange(100):02d} {random.randrange(10)}",
    }


def _times(random: Random, at: datetime) -> dict[str, str]:
    lately = at - timedelta(days=random.randrange(2, 11))
    return {
        "date": day_and_month(lately),
        "day": f"{at + timedelta(days=random.randrange(1, 6)):%A}",
        "month": f"{at.replace(day=1) - timedelta(days=random.randrange(1, 28)):%B}",
        "clock": f"{at - timedelta(minutes=random.randrange(8, 120)):%H:%M}",
    }


def day_and_month(at: datetime) -> str:
    """A date as people write it, such as `14 March`."""
    return f"{at.day} {at:%B}"
