"""An answer of each kind, as the OpenAPI document shows it (tests hold each against its schema)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from portal.api.personal_tokens import PersonalTokenOut, PersonOut
from portal.api.tokens import TokenOut
from portal.api.v1.availability import AvailabilityOut
from portal.api.v1.balances import BalancesOut, EntryList
from portal.api.v1.order_disputes import DisputeOut
from portal.api.v1.orders_answers import OrderList, OrderOut, ReceiptOut
from portal.api.v1.reference import BankList, CurrencyList, MethodList, RateList
from portal.api.v1.webhook_endpoints import CreatedEndpoint, EndpointList, EndpointOut, TestSent

_ORDER_ID, _AT, _LATER = (
    "ord_01h455vb4pex5vsknk084sn02q",
    "2026-01-31T12:00:00.000Z",
    "2026-01-31T12:15:00.000Z",
)
_ORDER: dict[str, Any] = {
    "id": _ORDER_ID,
    "object": "order",
    "version": 2,
    "mode": "test",
    "status": "awaiting_payment",
    "status_reason": None,
    "final": False,
    "direction": "payin",
    "amount": "1500.00",
    "currency": "RUB",
    "amount_received": None,
    "amount_reported": None,
    "method": "card",
    "bank": None,
    "settlement": {
        "currency": "USDT",
        "amount": "15.789473",
        "rate": "95.000000",
        "rate_source": "manual",
        "rate_at": _AT,
        "fee": "0.236842",
        "net": "15.552631",
    },
    "requisite": {"method": "card", "bank": "sber", "number": "2200 0000 0000 0004", "holder": "ANNA S."},
    "recipient": None,
    "payment_url": "https://pay.example.com/pay/3fQ0vM1sZc6Yk2Rr8tWn5b",
    "external_id": "shop-1001",
    "customer": {"id": "c-77"},
    "return_url": None,
    "description": "Order 1001",
    "locale": "ru",
    "metadata": {"cart": "9f"},
    "match_by": None,
    "pay_by": _LATER,
    "confirm_by": None,
    "created_at": _AT,
    "updated_at": _AT,
}
_MASKED = _ORDER | {"payment_url": None, "requisite": _ORDER["requisite"] | {"number": "2200 **** 0004"}}
_ENDPOINT: dict[str, Any] = {
    "id": "whe_01h455vb4pex5vsknk084sn02q",
    "object": "webhook_endpoint",
    "mode": "test",
    "url": "https://shop.example/webhooks/nostro",
    "event_types": ["order.completed", "order.expired"],
    "enabled": True,
    "verified": True,
    "disabled_reason": None,
    "failing_since": None,
    "created_at": _AT,
}
_TOKEN: dict[str, Any] = {
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6ImF0K2p3dCJ9...",
    "token_type": "Bearer",
    "expires_in": 900,
    "refresh_token": "nrt_...",
}
_LAST_PAGE: dict[str, Any] = {"object": "list", "has_more": False, "next_cursor": None}

EVENT: dict[str, Any] = {
    "id": "evt_01h455vb4pex5vsknk084sn02q",
    "type": "order.matched",
    "timestamp": _AT,
    "mode": "test",
    "version": 2,
    "sequence": 0,
    "data": _MASKED,
}
ANSWERS: Mapping[type[BaseModel], dict[str, Any]] = {
    OrderOut: _ORDER,
    OrderList: _LAST_PAGE | {"data": [_MASKED]},
    ReceiptOut: {
        "id": "rcp_01h455vb4pex5vsknk084sn02q",
        "object": "receipt",
        "order_id": _ORDER_ID,
        "content_type": "image/jpeg",
        "size_bytes": 182044,
        "created_at": _AT,
    },
    DisputeOut: {
        "id": "dsp_01h455vb4pex5vsknk084sn02q",
        "object": "dispute",
        "order_id": _ORDER_ID,
        "reason": "paid_another_amount",
        "words": "The customer sent 1,400.00.",
        "opened_by": "merchant",
        "opened_at": _LATER,
        "outcome": None,
        "order": _ORDER | {"status": "disputed", "version": 4, "pay_by": None, "updated_at": _LATER},
    },
    AvailabilityOut: {
        "object": "availability",
        "direction": "payin",
        "currency": "RUB",
        "amount": "1500.00",
        "available": True,
        "methods": [
            {"method": "card", "available": True, "nearest_below": None, "nearest_above": None},
            {"method": "sbp", "available": False, "nearest_below": "1400.00", "nearest_above": None},
        ],
    },
    BalancesOut: {
        "object": "balances",
        "mode": "test",
        "data": [{"currency": "USDT", "available": "310.250000", "held": "15.789473"}],
    },
    EntryList: _LAST_PAGE
    | {
        "data": [
            {
                "object": "entry",
                "kind": "payin_completed",
                "account": "available",
                "currency": "USDT",
                "amount": "15.552631",
                "balance_after": "310.250000",
                "subject": "order",
                "subject_id": _ORDER_ID,
                "reason": None,
                "created_at": _LATER,
            }
        ]
    },
    CurrencyList: {
        "object": "list",
        "data": [
            {
                "code": "RUB",
                "exponent": 2,
                "name": {"en": "Russian rouble", "ru": "Российский рубль"},
                "is_settlement": False,
            }
        ],
    },
    MethodList: {
        "object": "list",
        "data": [
            {
                "code": "card",
                "currency": "RUB",
                "name": {"en": "Card", "ru": "Карта"},
                "requisite_kind": "card",
                "min_amount": "100.00",
                "max_amount": "300000.00",
                "bank_required": False,
                "qr_standard": None,
            }
        ],
    },
    BankList: {
        "object": "list",
        "data": [
            {
                "code": "sber",
                "method": "card",
                "currency": "RUB",
                "name": {"en": "Sberbank", "ru": "Сбербанк"},
                "country": "RU",
            }
        ],
    },
    RateList: {
        "object": "list",
        "data": [
            {
                "base": "USDT",
                "quote": "RUB",
                "payin": "95.950000",
                "payout": "94.050000",
                "source": "manual",
                "observed_at": _AT,
            }
        ],
    },
    CreatedEndpoint: _ENDPOINT | {"secret": "whsec_..."},
    EndpointOut: _ENDPOINT,
    EndpointList: _LAST_PAGE | {"data": [_ENDPOINT]},
    TestSent: {"object": "test_event", "event_id": "evt_01h455vb4pex5vsknk084sn02q"},
    TokenOut: _TOKEN
    | {"scope": "orders:read orders:write", "store_id": "st_01h455vb4pex5vsknk084sn02q", "mode": "test"},
    PersonalTokenOut: _TOKEN,
    PersonOut: {
        "object": "person",
        "id": "usr_01h455vb4pex5vsknk084sn02q",
        "roles": ["trader"],
        "permissions": {"account:view": "own", "payin:confirm": "own"},
    },
}
