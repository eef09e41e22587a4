"""Grammar rules of the Chinese travel queries.

Tokens are single Han characters and runs of digits and Latin letters. As in English, a
date or time without its own verb belongs to the last verb before it (抵达, 落地, 赶到 arrive;
出发, 起飞, 动身 leave). At the beginning of a sentence it belongs to the first verb after it,
and without any verb it is the departure of the flight or trip.
"""

import random
import re

from dlrecipes.data.generated.travel import chinese_other
from dlrecipes.data.generated.travel.chinese_words import WORDS
from dlrecipes.data.generated.travel.grammar import Draft, Grammar, without_stray

_TOKEN = re.compile(r"[A-Za-z0-9:]+|\S")

RULES = {
    "from": "{departure_city:city}",
    "to": "{destination_city:city}",
    "via": "{stopover_city:city}",
    "date": """
        <month> 月 <day_number> (号|日)
        <month> 月 <day_number> (号|日)
        <day_number> 号
        (周|星期|下周|下星期|这周) <weekday>
        (明天|后天|大后天|明天|下个月初|月底)
        <holiday>""",
    "time": """
        <hour> 点 [半|一刻|整]
        <day_part> <half_day> 点 [半|一刻]
        <hour> 点 <minute> 分
        <minutes>
        <day_part>""",
    "when": """
        {$_date:date}
        {$_date:date} {$_time:time}
        {$_time:time}
        {$_date:date} 的 {$_time:time}
        {$_date:date} (大概|差不多|左右) {$_time:time}
        {$_date:date} ， <aside> {$_time:time}""",
    "aside": """
        ， 如果不太麻烦的话 ，
        ， (说实话|老实说|不瞒你说) ，
        ， (因为|毕竟) <reason> ，
        ， 要是还有 (座位|票) 的话 ，
        ， (昨天|刚才) 在电话里跟你们说过 ，
        ， 不管 (价格|经济形势) 怎么样 ，
        ， 我 <person> 也一起 ，
        ， 我 <person> (特别|老是|一直) 想吃 <dish> ，
        ， 我在 <paper> 上看到过 ，
        ， 头等大事嘛 ，
        ， 跟上 (次|回) 一样 ，
        ， 一点也不夸张 ，
        ， 天气好的话 ，""",
    "dish": "北京烤鸭 | 重庆火锅 | 兰州拉面 | 扬州炒饭 | 面条",
    "reason": """
        我 <person> 要结婚了
        有一 (个|场) <event>
        <event> 很早就开始
        我 <person> 不喜欢坐早班飞机
        上一班已经满了
        最近经济不太好
        我还有两件事要办""",
    "polite": "(你好|您好) ， | 请 | 麻烦你 | 请问 ， | 劳驾 ， | 能不能帮我",
    "greeting": "(你好|您好|请问|劳驾) ，",
    "want": """
        我 (想|要|得|打算|希望)
        我们 (想|要|得|准备)
        我 <person> (想|要)
        我和 <person> 想""",
    "route": """
        从 <from> (到|飞|去|飞往|飞到) <to>
        <from> (到|飞|至) <to>
        (去|飞|飞往) <to> ， 从 <from> 走
        从 <from> <aside> (飞|去) <to>
        从 <from> 经 <via> (到|飞) <to>
        从 <from> (到|去) <to> ， 在 <via> (转机|中转|停一晚)
        由 <from> 前往 <to>
        <from> 和 <to> 之间""",
    "go_off": "(出发|起飞|动身|走|离开)",
    "get_in": "(抵达|落地|到达|降落)",
    "leave": """
        从 <from> <go_off>
        离开 <from>
        从 <from> ， <aside> <go_off>""",
    "reach": """
        (抵达|到达|赶到) <to>
        在 <to> (落地|降落)
        在 ， <aside> <to> (落地|降落)
        人在 <to> 了""",
    "set_off": """
        ， <when:departure> <go_off>
        ， <when:departure> <aside> <go_off>
        ， (出发|起飞) 时间 (是|定在|选) <when:departure>
        ， (出发|起飞) 时间 <aside> (是|定在|选) <when:departure>""",
    "arrive": """
        ， <when:arrival> <get_in>
        ， <when:arrival> <aside> <get_in>
        ， (抵达|落地|到达) 时间 (是|定在|选) <when:arrival>
        ， (抵达|落地|到达) 时间 <aside> (是|定在|选) <when:arrival>""",
    "back": """
        ， {return_date:date} (返回|回来|返程)
        ， {return_date:date} <aside> (返回|回来|返程)
        ， (返程|回程) (是|定在|选) {return_date:date}
        ， (返程|回程) <aside> (是|定在|选) {return_date:date}""",
    "carrier": """
        ， (坐|要|最好是) {airline:airline} 的
        ， 我喜欢 {airline:airline}
        ， 我 <person> <aside> 只坐 {airline:airline}
        ， 不是 {airline:airline} 也行""",
    "cabin": """
        ， (要|坐|最好是) {class:class}
        ， <aside> 要 {class:class} 的
        ， {class:class} 就行""",
    "party": """
        ， [一共] {travellers:n} (个人|位|人)
        ， 我们有 {travellers:n} 个人
        ， 要 {travellers:n} 张票
        ， {travellers:n} 个 (大人|成人)""",
    "noise": """
        ， 我有 <n> (件行李|个箱子)
        ， 最多转 <n> 次机
        ， 不要超过 <price> 块钱
        ， 等 <n> 个小时也没关系""",
    "extra": "<carrier> | <cabin> | <party> | <noise>",
    "extras": "[[<carrier>]] & [[<cabin>]] & [[<party>]] & [[<noise>]] & [[<aside>]]",
    "timing": "<set_off> | <arrive> | <set_off> <arrive> | <arrive> <set_off> | <back>",
    "tail": "<extras> | <timing> [<extra>] | [<extra>] <timing>",
    "dated_tail": "<extras> | <arrive> [<extra>] | <back> [<extra>] | <arrive> <back>",
    "here": """
        我 (现在|目前|人) 在 <from>
        我 (家|老家|公司) 在 <from>
        我们 <aside> 现在还在 <from>""",
    "two_ends": """
        <here> ， (要|得|必须) <when:arrival> <reach>
        <here> ， (要|得|必须) <aside> (去|飞) <to>
        <here> ， 想去 <to> 看 <person> [， <when:departure> <go_off>]
        <event> 在 <to> ， <here> [， <when:departure> <go_off>]
        <event> 在 <to> ， <when:arrival> (必须|一定要|得) <get_in>
        <when:departure> <want> <leave> [， <when:arrival> <reach>]
        <when:arrival> <want> <reach> [， <when:departure> <leave>]
        <when:departure> ， <aside> <want> <leave>
        <when:arrival> ， <aside> <want> <reach>
        <want> <when:departure> <leave> [， 去 <to>]
        <want> <when:arrival> <aside> <reach>
        <want> <when:departure> <go_off> ， <when:arrival> <get_in>""",
    "cleft": """
        <from> 是我 [， <aside>] (出发|动身|起飞) 的 (城市|地方)
        <to> 是我 [， <aside>] (要去|要到|最后落脚) 的 (城市|地方)
        <from> ， <aside> 是出发地 ， <to> ， <aside> 是目的地
        <to> ， <aside> 是目的地 ， <from> ， <aside> 是出发地
        (出发地|起点) <aside> 是 <from> [， (目的地|终点) 是 <to>]
        (目的地|终点) <aside> 是 <to> [， (出发地|起点) 是 <from>]
        <when:departure> 是 <want> <go_off> 的时间
        <when:arrival> 是 <want> <get_in> 的时间
        我 (出发|动身) 的 (日子|时间) <aside> 是 <when:departure>
        我 (抵达|落地) 的 (日子|时间) <aside> 是 <when:arrival>""",
    "telegram": """
        离开 <from> {departure_date:date} [{departure_time:time}]
        抵达 <to> {arrival_date:date} [{arrival_time:time}]
        {departure_date:date} <from> 飞 <to> [{class:class}]
        <from> <to> {departure_date:date} [{return_date:date} 返回]
        出发 <from> <when:departure> ； 抵达 <to> <when:arrival>
        抵达 <to> <when:arrival> ； 出发 <from> <when:departure>
        {travellers:n} 人 <from> 到 <to> {departure_date:date}""",
    "need_seat": """
        (订|买|预订) (一张|张) [{class:class}] (票|机票)
        (订|买) {travellers:n} 张 [{class:class}] (票|机票)
        (订|找) 一 (班|个) {airline:airline} 的航班""",
    "book_flight": """
        [<polite>] <need_seat> ， [<when:departure>] <route> <dated_tail>
        [<polite>] <need_seat> ， <route> <tail>
        <want> [<when:departure>] <route> <dated_tail>
        <want> <route> <tail>
        <two_ends> <extras>
        <two_ends> ， [请] 帮我订票 [<extra>]
        <cleft> ， (订票|帮我订一张票) [<extra>]
        <telegram> <extras>""",
    "find_fare": """
        [<greeting>] [<when:departure>] <route> 的 [{class:class}|{airline:airline}] <price_of>
        <want> [<when:departure>] <route> ， <price_of> [<extra>]
        <two_ends> ， <price_of> [<extra>]
        <cleft> ， <price_of>
        <telegram> <price_of>""",
    "price_of": """
        (机票|票价) 多少钱
        最便宜 [的票] 多少钱
        (要花|得花) 多少钱
        票价 (贵不贵|怎么样)""",
    "flight_schedule": """
        [<greeting>] [<when:departure>] <route> <which_of>
        <route> <which_of> <timing>
        <two_ends> ， <which>
        <cleft> ， <which>
        <telegram> <which_of>
        {airline:airline} <when:departure> <aside> <leave> 的航班有哪些
        {airline:airline} <when:arrival> <aside> <reach> 的航班有哪些""",
    "which": """
        有 (哪些|什么) 航班
        (第一班|最晚一班|头班) 飞机几点
        有没有直飞的""",
    "which_of": "<which> | 的航班有 (哪些|几班)",
    "flight_status": """
        <flight_number> 航班 (晚点|延误|准点) (了吗|没有)
        从 <from> 来的 <flight_number> 航班到了吗
        去 <to> 的 <flight_number> 航班 (晚点|延误|起飞) 了吗
        <when:departure> [<aside>] <leave> 的 (飞机|航班) (晚点|延误) 了吗
        <when:arrival> [<aside>] <reach> 的 (飞机|航班) (晚点|延误) 了吗
        {airline:airline} <when:arrival> [<aside>] <get_in> 的航班会延误吗""",
    "booking": """
        我的 (机票|订单|航班)
        我订的 {airline:airline} 的票
        我们 {travellers:n} 个人的票""",
    "change_booking": """
        [<polite>] (把|将) <booking> 改成 <when:departure> [<aside>] <go_off>
        [<polite>] (把|将) <booking> 改成 <when:arrival> [<aside>] <get_in>
        [<polite>] 改签 <booking> ， <two_ends>
        [<polite>] 改签 <booking> ， <cleft>
        (把|将) <booking> [<aside>] (升到|换成) {class:class}
        (把|将) <booking> [<aside>] (换成|改到) {airline:airline}
        (把|将) 返程 [<aside>] 改到 {return_date:date}
        (把|将) 出发 [日期] [<aside>] 改到 {departure_date:date}
        (把|将) 抵达 [日期] [<aside>] 改到 {arrival_date:date}""",
    "cancel_booking": """
        [<polite>] (取消|退掉) [<when:departure>] <route> 的 (票|航班)
        [<polite>] (取消|退掉) <when:departure> [<aside>] <leave> 的 (票|航班)
        [<polite>] (取消|退掉) <when:arrival> [<aside>] <reach> 的 (票|航班)
        <when:departure> 我 [<aside>] 不能 <go_off> 了 ， (取消|退掉) <booking>
        <when:arrival> 我 [<aside>] 没法 <get_in> 了 ， (取消|退掉) <booking>
        (取消|退掉) <booking> <timing>""",
    "airline_info": """
        (哪家|哪些) 航空公司 (飞|有) <route>
        {airline:airline} 有没有 [{class:class}]
        {airline:airline} [<aside>] 飞不飞 <to>
        (介绍一下|说说) [<aside>] {airline:airline} 的 ({class:class}|服务)
        {airline:airline} 的 {class:class} 能带几件行李
        (哪家|哪些) 航空公司 [<aside>] 从 <from> <go_off>""",
    "ground_transport": """
        <when:arrival> <aside> <reach> ， (怎么|坐什么) 进城
        <when:arrival> <reach> ， 有没有 <ride> 进城
        <when:departure> <aside> <leave> ， (怎么|坐什么) 去机场
        <when:departure> <leave> ， 有没有 <ride> 去机场
        (去机场|到机场) 有 <ride> 吗 ， <when:departure> [<aside>] <leave>
        (进城|去市区) 有 <ride> 吗 ， <when:arrival> [<aside>] <reach>
        {travellers:n} 个人 ， 在 <to> 落地 ， <ride> 怎么坐""",
    "ride": "(地铁|大巴|出租车|火车|机场快线)",
}

INTENTS = {
    "book_flight": 10,
    "find_fare": 5,
    "flight_schedule": 5,
    "flight_status": 2,
    "change_booking": 3,
    "cancel_booking": 2,
    "airline_info": 2,
    "ground_transport": 3,
}

_ASKING = re.compile("[吗哪]|多少|什么|怎么|几|有没有|贵不贵")

GRAMMAR = Grammar(
    {**RULES, **chinese_other.RULES}, {**WORDS, **chinese_other.WORDS}, _TOKEN.findall
)


def finish(draft: Draft, rng: random.Random) -> bool:
    """Adds punctuation to a draft; returns whether it can be used.

    Chinese is written without spaces, so digits directly after other digits or a comma would
    be ambiguous; such drafts are rejected.
    """
    without_stray(draft, "，", "，；")
    for before, after in zip(draft.tokens, draft.tokens[1:], strict=False):
        if after.isascii() and (before.isascii() or before in "，；"):
            return False
    if rng.random() < 0.35:
        draft.tokens.append("？" if _ASKING.search("".join(draft.tokens)) else "。")
        draft.tags.append("O")
    return True
