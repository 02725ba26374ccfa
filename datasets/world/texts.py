"""Wordings: what adverts say beside their contact, and the texts on walls that are not adverts.

The vocabulary is neutral (news level). Lines are put together from parts, with numbers, signs and words that do not exist, so that a
recogniser cannot get by with a list of known lines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ...contract import TagtraceError
from .draw import between, chance, choice, string, weighted
from .identifiers import KZ_UNASSIGNED, to_cyrillic
from .names import invented_word, stem
from .spelling import paint_phone

RUSSIAN: Final = "абвгдежзийклмнопрстуфхцчшщъыьэюя"
KAZAKH: Final = RUSSIAN + "әғқңөұүһі"
LATIN: Final = "abcdefghijklmnopqrstuvwxyz"

_RU_WORK: Final = (
    "работа", "вакансии", "подработка", "курьер", "курьеры", "водитель", "водители", "оператор", "ищем курьеров", "нужны курьеры",
    "требуются курьеры", "требуется водитель", "набор сотрудников", "набор в команду", "работа для всех", "работа рядом", "свободный график",
    "зарплата", "зарплата каждый день", "оплата сразу", "высокий доход", "стабильный доход", "доход от {n}000", "от {n}000 тг", "{n} 000 в день",
    "{n}00 000 тг", "зп от {n}00к", "без опыта", "обучение", "обучение бесплатно", "пиши", "пиши в телеграм", "пиши сюда", "подробности тут",
    "легкие деньги", "быстрые деньги", "деньги сегодня", "хочешь денег?", "нужны деньги?", "нужна работа?", "ищешь работу?", "зарабатывай",
    "заработок", "заработок от {n} тыс", "вахта", "пешие курьеры", "авто курьер", "график {d}/{d}", "команда ждет", "есть места", "художники",
    "рекламщики", "фасовщик", "упаковщик", "менеджер", "люди на подработку", "студентам", "ежедневные выплаты", "гибкий график",
    "работа есть", "работа тут", "работа в городе", "звони", "анкета", "приходи", "карьера", "ждем тебя", "аванс", "премия", "бонусы",
)  # fmt: skip
_RU_SALE: Final = (
    "магазин", "доставка", "доставка {h}/7", "магазин №{d}", "лучший магазин", "бот", "наш бот", "новый бот", "канал", "наш канал", "новый адрес",
    "мы переехали", "заходи", "жми", "сканируй", "сканируй код", "открой", "открыто", "открыто {h}/7", "круглосуточно", "{h}/7", "{h} часа",
    "{h} на 7", "быстро", "надежно", "качество", "гарантия", "скидки", "скидка {n}%", "акция", "акция -{n}%", "цены ниже", "опт", "опт и розница",
    "заказ", "заказ тут", "закажи", "проверено", "топ", "топ {d}", "№{d}", "№1 в городе", "всегда рядом", "весь город", "все районы",
    "по городу", "все есть", "есть все", "витрина", "ассортимент", "каталог", "меню", "прайс", "отзывы", "оператор на связи", "клад", "стафф",
    "мик", "mix", "legal", "новинки", "свежее", "в наличии", "сервис", "маркет", "лавка", "обмен", "только тут", "не проходи мимо", "ищи нас",
    "переходи", "подпишись", "подписывайся", "розыгрыш", "промокод {p}", "код {p}",
)  # fmt: skip
_KK: Final = (
    "жұмыс", "жұмыс бар", "жұмысқа шақырамыз", "жұмыс керек пе?", "жұмыс іздейсің бе?", "табыс", "табыс күнде", "күнделікті төлем", "күніне {n}000",
    "күніне {n} мың", "айлық", "жалақы", "жалақы {n}00 000", "еңбекақы", "курьер керек", "жүргізуші керек", "жеткізуші", "жеткізушілер",
    "жеткізу", "жеткізу {h}/7", "тегін оқыту", "тәжірибесіз", "ақша", "ақша керек пе?", "оңай ақша", "тез ақша", "дүкен", "дүкен №{d}", "үздік дүкен",
    "бізге жаз", "жаз", "осында жаз", "осында", "толығырақ", "жаңа мекенжай", "жаңа бот", "біздің арна", "арна", "тәулік бойы", "{h} сағат",
    "сапа", "сенімді", "жылдам", "арзан", "жеңілдік", "жеңілдік {n}%", "сыйлық", "көмек", "бәрі бар", "барлық аудан", "қала бойынша", "тапсырыс",
    "тапсырыс бер", "сұранысқа ие", "ашық", "кел", "кіріңіз", "хабарлас", "қоңырау шал", "бос орын", "бос орындар", "топқа қабылдау",
    "икемді кесте", "студенттерге", "жұмыс уақыты", "қосымша табыс", "үйден жұмыс", "өз қалаңда", "сенің мүмкіндігің", "қызметкер керек", "нөмір {d}",
)  # fmt: skip
_EN: Final = (
    "work", "job", "jobs", "shop", "shop {h}/7", "delivery", "delivery {h}/7", "best price", "best quality", "open {h}/7", "scan me", "scan", "order",
    "order now", "join", "join us", "money", "easy money", "top", "vip", "new", "fast", "market", "store", "bot", "channel", "click", "online",
    "courier", "sale", "sale {n}%", "24/7", "no.1", "#1", "city", "help wanted", "cash", "promo {p}", "welcome", "start", "menu", "live",
)  # fmt: skip
_CITIES: Final = (
    "Астана", "Алматы", "Шымкент", "Қарағанды", "Караганда", "Ақтөбе", "Актобе", "Тараз", "Павлодар", "Өскемен", "Семей", "Атырау", "Костанай",
    "Қостанай", "Қызылорда", "Кызылорда", "Орал", "Уральск", "Петропавл", "Ақтау", "Актау", "Түркістан", "Көкшетау", "Кокшетау", "Талдықорған",
    "Талдыкорган", "Екібастұз", "Рудный", "Жезқазған", "Балқаш", "Қонаев", "Сәтбаев", "АСТ", "АЛМ", "KZ", "Сарыарқа", "Есіл", "Нұра", "Байқоңыр",
)  # fmt: skip
_STREETS: Final = (
    "Абай", "Сәтбаев", "Жібек жолы", "Төле би", "Республика", "Кенесары", "Бөгенбай батыр", "Мәңгілік Ел", "Тәуелсіздік", "Қабанбай батыр", "Достық",
    "Гагарин", "Женис", "Жеңіс", "Сейфуллин", "Әл-Фараби", "Райымбек", "Бейбітшілік", "Мира", "Лесная", "Садовая", "Школьная", "Ауэзова", "Иманов",
    "Валиханова", "Богенбай", "Жамбыл", "Желтоқсан", "Алаш", "Ұлы Дала", "Сарайшық", "Дулатов", "Победы", "Степная", "Новая", "Набережная", "Момышұлы",
    "Шевченко", "Пушкин", "Тұран", "Нұржол", "Орынбор", "Ықылас", "Түркістан", "Керей, Жәнібек хандар", "Айтеке би", "Қазыбек би", "Байтұрсынұлы",
)  # fmt: skip
_SIGNS: Final = (
    "продукты", "аптека", "дәріхана", "азық-түлік", "дүкен", "магазин", "супермаркет", "минимаркет", "кафе", "асхана", "столовая", "донер", "шаурма",
    "пицца", "суши", "кофе", "coffee", "наубайхана", "пекарня", "нан", "шаштараз", "парикмахерская", "салон красоты", "сұлулық салоны", "барбершоп",
    "стоматология", "тіс дәрігері", "оптика", "нотариус", "ломбард", "банк", "банкомат", "ремонт телефонов", "ремонт обуви", "ателье", "тігін",
    "химчистка", "цветы", "гүлдер", "зоомагазин", "детский мир", "балалар әлемі", "канцтовары", "кітаптар", "книги", "одежда", "киім", "обувь",
    "аяқ киім", "автозапчасти", "шиномонтаж", "автомойка", "сто", "май алмастыру", "стройматериалы", "құрылыс заттары", "мебель", "жиһаз",
    "хозтовары", "хостел", "гостиница", "қонақ үй", "мектеп", "балабақша", "детский сад", "поликлиника", "емхана", "пошта", "почта", "халыққа қызмет",
    "фитнес", "сауна", "монша", "мясо", "ет", "қымыз", "шұбат", "сыра", "табак", "разливное пиво", "овощи фрукты", "көкөніс", "фото", "копицентр", "ксерокс",
)  # fmt: skip
_SIGN_EXTRA: Final = (
    "24 часа",
    "24 сағат",
    "0% рассрочка",
    "открыто",
    "ашық",
    "с 9 до 21",
    "09:00-22:00",
    "вход",
    "кіру",
    "2 этаж",
    "-1 қабат",
    "тел.",
)
_POSTERS: Final = (
    "сдам квартиру", "сниму квартиру", "сдаю комнату", "пәтер беремін", "пәтер жалға", "куплю квартиру", "продам гараж", "продам дом", "продам авто",
    "ремонт квартир", "ремонт стиральных машин", "ремонт холодильников", "ремонт окон", "грузоперевозки", "грузчики", "газель", "жүк тасымалы",
    "услуги электрика", "электрик", "сантехник", "сантехника", "сварщик", "уборка", "вывоз мусора", "қоқыс шығару", "окна балконы", "натяжные потолки",
    "кондиционеры", "интернет в дом", "репетитор", "английский язык", "ағылшын тілі", "математика", "курсы", "автошкола", "такси", "межгород",
    "няня", "сиделка", "детский сад", "массаж", "маникюр", "стоматолог", "юрист", "адвокат", "кредит юрлицам", "страховка", "куплю металлолом",
    "макулатура", "пропала собака", "найден кот", "потерян ключ", "ит жоғалды", "жоғалған құжат", "бурение скважин", "песок щебень", "бетон",
    "ковры чистка", "кілем жуу", "памятники", "той қызметі", "тамада", "торты на заказ", "тәтті тоқаш", "эвакуатор", "шкафы купе", "окна", "двери", "замки",
)  # fmt: skip
_SLOGANS: Final = (
    ("есірткіге жол жоқ",), ("есірткіге жол жоқ!", "102"), ("нашақорлыққа", "жол жоқ"), ("мы за зож",), ("мы против наркотиков",), ("нет наркотикам",),
    ("stop graffiti",), ("стоп наркотик",), ("сообщи о наркоторговце", "102"), ("есірткі сатушы туралы", "хабарла: 102"), ("102",), ("112",),
    ("109 ikomek",), ("полиция 102",), ("телефон доверия", "150"), ("сенім телефоны", "111"), ("служба спасения 112",), ("өмірді таңда",),
    ("выбери жизнь",), ("жизнь без наркотиков",), ("салауатты өмір салты",), ("спорт вместо наркотиков",), ("чистый город",), ("таза қала",),
    ("за чистые улицы",), ("есірткісіз болашақ",), ("будущее без наркотиков",), ("мир без наркотиков",), ("закрашено волонтерами",),
)  # fmt: skip
_NOTICES: Final = (
    "не парковаться", "көлік қоймаңыз", "стоянка запрещена", "осторожно собака", "абай болыңыз ит", "посторонним вход воспрещен", "бөгде адамдарға кіруге болмайды",
    "не курить", "темекі шегуге болмайды", "не влезай убьет", "высокое напряжение", "жоғары кернеу", "тп-{n}", "рп-{d}", "газ", "огнеопасно", "от қауіпті",
    "уборная", "выход", "шығу", "шығу жоқ", "запасный выход", "мусор не бросать", "қоқыс тастамаңыз", "ведется видеонаблюдение", "бейнебақылау жүргізіледі",
    "объявления не клеить", "хабарландыру ілмеңіз", "подъезд {d}", "{d}-кіреберіс", "кв. {n}-{n}", "лифт не работает", "закрывайте дверь", "есікті жабыңыз",
    "гараж {n}", "бокс {d}", "щитовая", "теплопункт", "жылу пункті", "кафе ->", "wc", "пк {n}", "гидрант", "пг {d}", "ост. {d}",
)  # fmt: skip
_ROAD: Final = (
    "stop",
    "стоп",
    "аялдама",
    "остановка",
    "{n}",
    "{n} км",
    "{n} м",
    "p",
    "30",
    "40",
    "50",
    "60",
    "кедендік бақылау",
    "центр",
    "орталық",
    "вокзал",
    "вокзал {n}",
    "такси",
    "берегись автомобиля",
    "въезд",
    "выезд",
    "объезд",
    "айналма жол",
)
_TAG_WORDS: Final = (
    "zone",
    "crew",
    "one",
    "king",
    "rap",
    "hop",
    "2pac",
    "punk",
    "love",
    "forever",
    "hate",
    "boom",
    "toy",
    "bomb",
    "fame",
    "wild",
    "spot",
    "цой жив",
    "лёха",
    "вася",
    "рэп",
    "мир",
    "любовь",
    "бро",
    "крю",
    "дым",
    "катя + саша",
    "я тут был",
    "ura",
    "жас",
    "дос",
    "сүйемін",
    "алға",
)
_PLATE_LETTERS: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class DistractorText:
    """A text on a wall that is no advert. ``kind``: house, plate, sign, poster, slogan, tag, road, price or notice; ``lines`` in reading order."""

    kind: str
    lines: tuple[str, ...]


def filled(rng: np.random.Generator, template: str) -> str:
    """A wording with its places filled: ``{n}`` a number, ``{d}`` a digit, ``{h}`` hours, ``{p}`` a code word."""
    if "{" not in template:
        return template
    return template.format(
        n=choice(rng, (str(between(rng, 1, 9) * 10), str(between(rng, 2, 99)), "5", "15", "50", "100", "300")),
        d=between(rng, 1, 9),
        h=choice(rng, ("24", "24", "24", "12", "7")),
        p=string(rng, "ABCDEFGHKLMNPRSTUVXYZ0123456789", between(rng, 3, 8)),
    )


def cased(rng: np.random.Generator, text: str) -> str:
    """The text in the case in which walls are written: capitals mostly, else lower case or a capital at the beginning."""
    form = weighted(rng, {"upper": 0.62, "lower": 0.18, "first": 0.15, "title": 0.05})
    if form == "upper":
        return text.upper()
    if form == "lower":
        return text.lower()
    return text.title() if form == "title" else text[:1].upper() + text[1:]


def _decorated(rng: np.random.Generator, text: str) -> str:
    form = weighted(rng, {"": 0.7, "!": 0.09, "!!!": 0.04, "!!": 0.02, "-": 0.04, ":": 0.04, ">": 0.01, "24": 0.03, "n": 0.03})
    if form == "24":
        return f"{text} {choice(rng, ('24/7', '24', '24/7!', '- 24/7'))}"
    if form == "n":
        return f"{text} №{between(rng, 1, 9)}"
    return text + (" -" if form == "-" else form)


def wording(rng: np.random.Generator, split: str) -> str:
    """One line of an advert's wording in Russian, Kazakh or English: recruiting, selling, a city, or two of them together."""
    source = weighted(rng, {"work": 0.3, "sale": 0.24, "kk": 0.25, "en": 0.08, "city": 0.05, "pair": 0.05, "new": 0.03})
    if source == "city":
        text = choice(rng, _CITIES)
    elif source == "pair":
        first, second = choice(rng, (*_RU_WORK, *_RU_SALE, *_KK)), choice(rng, (*_RU_SALE, *_CITIES, *_EN))
        text = f"{filled(rng, first)}{choice(rng, (' ', ' - ', ', ', ' / ', ' + ', '. '))}{filled(rng, second)}"
    elif source == "new":
        text = cyrillic_word(rng, split)
    else:
        text = filled(rng, choice(rng, {"work": _RU_WORK, "sale": _RU_SALE, "kk": _KK, "en": _EN}[source]))
    return cased(rng, _decorated(rng, text)) if len(text) < 30 else cased(rng, text)


def cyrillic_word(rng: np.random.Generator, split: str) -> str:
    """A pronounceable word that does not exist, in Cyrillic, half the time with Kazakh letters."""
    word = to_cyrillic(invented_word(rng, split))
    if chance(rng, 0.5):
        table = dict(zip("агкноуиых", "әғқңөұүіһ", strict=True))
        word = "".join(table[c] if c in table and chance(rng, 0.45) else c for c in word)
    return word


def balanced_word(rng: np.random.Generator) -> str:
    """Letters of one alphabet at random, so that the rare ones (Ә, Һ, Щ, Ъ, Ё …) are seen as often as the others; 2 to 12 characters."""
    letters = weighted(rng, {KAZAKH + "ё": 0.6, LATIN: 0.2, "әғқңөұүһіёщъэц": 0.2})
    return cased(rng, string(rng, letters, between(rng, 2, 12)))


def _house(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    number = f"{between(rng, 1, 220)}{choice(rng, ('', '', '', 'А', 'Б', '/1', '/2', 'к1', ' корп. 2', 'В'))}"
    street = choice(rng, _STREETS)
    street = choice(
        rng, ("{} көшесі", "ул. {}", "{} даңғылы", "пр. {}", "{} к-сі", "{}", "проспект {}", "улица {}", "{} мкр")
    ).format(street)
    form = weighted(rng, {"number": 0.45, "both": 0.4, "one": 0.15})
    if form == "number":
        return (number,)
    return (street.upper() if chance(rng, 0.4) else street, number) if form == "both" else (f"{street}, {number}",)


def _plate(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    letters = string(rng, _PLATE_LETTERS, 3 if chance(rng, 0.8) else 2)
    region = f"{between(rng, 1, 20):02d}"
    return (
        (f"{string(rng, '0123456789', 3)} {letters} {region}",)
        if chance(rng, 0.85)
        else (f"{letters} {string(rng, '0123456789', 3)}", region)
    )


def _sign(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    first = choice(rng, _SIGNS)
    if chance(rng, 0.25):
        name = stem(rng, split).replace("_", " ")
        first = f"{first} «{(to_cyrillic(name) if chance(rng, 0.6) else name).title()}»"
    lines = (cased(rng, first),)
    return (*lines, cased(rng, choice(rng, (*_SIGNS, *_SIGN_EXTRA)))) if chance(rng, 0.4) else lines


def legal_phone(rng: np.random.Generator) -> str:
    """A Kazakhstan number with an unassigned code as legal posters print it."""
    return paint_phone(rng, "+7" + choice(rng, KZ_UNASSIGNED) + string(rng, "0123456789", 7))


def _poster(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    lines = [cased(rng, choice(rng, _POSTERS))]
    if chance(rng, 0.5):
        lines.append(
            cased(
                rng,
                choice(
                    rng,
                    (
                        "недорого",
                        "качественно",
                        "быстро",
                        "опыт {n} лет",
                        "выезд",
                        "арзан",
                        "сапалы",
                        "кепілдік",
                        "гарантия",
                        "без выходных",
                        "{d}-комн.",
                        "срочно",
                        "{n} 000 тг",
                        "скидки",
                        "вызов бесплатный",
                    ),
                ),
            )
            .replace("{n}", str(between(rng, 2, 90)))
            .replace("{d}", str(between(rng, 1, 5)))
            .replace("{N}", "20")
            .replace("{D}", "2")
        )
    for _ in range(weighted(rng, {0: 0.12, 1: 0.73, 2: 0.15})):
        lines.append(legal_phone(rng))
    return tuple(lines)


def _slogan(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    if chance(rng, 0.12):  # an official-looking hotline bot: invented, and protected by its form
        return (
            "сообщи анонимно",
            f"@{choice(rng, ('stopnarko', 'antinarko', 'narkohelp', 'police102'))}_{choice(rng, ('ast', 'alm', 'kz', 'shym', 'krg'))}_bot",
        )
    form = choice(rng, (str.upper, str.upper, str.capitalize, str.lower))
    return tuple(form(line) for line in choice(rng, _SLOGANS))


def _tag(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    form = weighted(rng, {"invented": 0.5, "letters": 0.2, "word": 0.2, "cyrillic": 0.1})
    if form == "letters":
        text = string(rng, LATIN, between(rng, 2, 5)) + (str(between(rng, 1, 99)) if chance(rng, 0.3) else "")
    elif form == "word":
        text = choice(rng, _TAG_WORDS)
    else:
        text = (cyrillic_word(rng, split) if form == "cyrillic" else invented_word(rng, split))[: between(rng, 3, 8)]
    return (choice(rng, (text.upper(), text.lower(), text.title(), text.swapcase())),)


def _price(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    amount = f"{between(rng, 1, 99)}{choice(rng, ('0', '00', '50', '90', ' 000', ' 500', '99'))}"
    price = f"{amount} {choice(rng, ('тг', 'тг.', 'тенге', 'теңге', 'kzt'))}"
    item = choice(
        rng,
        (
            "нан",
            "хлеб",
            "сүт",
            "молоко",
            "кофе",
            "чай",
            "бензин аи-92",
            "аи-95",
            "шашлык",
            "лепешка",
            "донер",
            "самса",
            "яйца",
            "жұмыртқа",
            "су 5 л",
            "вода",
            "картоп",
        ),
    )
    return (cased(rng, item), price) if chance(rng, 0.75) else (price,)


def _notice(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    return (cased(rng, filled(rng, choice(rng, _NOTICES))),)


def _road(rng: np.random.Generator, split: str) -> tuple[str, ...]:
    lines = (filled(rng, choice(rng, _ROAD)).upper(),)
    return (choice(rng, _CITIES), f"{between(rng, 2, 990)} км") if chance(rng, 0.2) else lines


DISTRACTORS: Final[Mapping[str, Callable[[np.random.Generator, str], tuple[str, ...]]]] = MappingProxyType(
    {
        "house": _house,
        "plate": _plate,
        "sign": _sign,
        "poster": _poster,
        "slogan": _slogan,
        "tag": _tag,
        "road": _road,
        "price": _price,
        "notice": _notice,
    }
)


def distractor(rng: np.random.Generator, kind: str, split: str) -> DistractorText:
    """A text of a kind that is no advert; raises ``TagtraceError`` for an unknown kind."""
    if kind not in DISTRACTORS:
        raise TagtraceError(f"unknown kind of distractor {kind!r}: choose one of {', '.join(DISTRACTORS)}")
    return DistractorText(kind, DISTRACTORS[kind](rng, split))
