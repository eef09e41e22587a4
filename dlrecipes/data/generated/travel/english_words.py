"""Word lists of the English travel queries; the second text of a list is held out."""

from dlrecipes.data.generated.travel.grammar import Words

_MONTHS = "January February March April May June July August September October November December"
_ORDINALS = (
    "first, second, third, fourth, fifth, sixth, seventh, eighth, ninth, tenth, twelfth, fifteenth"
)


def _ending(day: int) -> str:
    if day in (11, 12, 13):
        return "th"
    return {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


WORDS = {
    "city": Words(
        """London, Paris, Rome, Oslo, Lima, Madrid, Lisbon, Berlin, Vienna, Prague, Warsaw, Athens,
        Dublin, Edinburgh, Glasgow, Manchester, Amsterdam, Brussels, Copenhagen, Stockholm,
        Helsinki, Reykjavik, Hamburg, Augsburg, Freiburg, Salzburg, Gothenburg, Yekaterinburg,
        Pittsburgh, Johannesburg, St. Petersburg, Munich, Frankfurt, Cologne, Zurich, Geneva,
        Milan, Naples, Venice, Florence, Turin, Bologna, Barcelona, Valencia, Seville, Malaga,
        Porto, Lyon, Nice, Marseille, Bordeaux, Toulouse, Budapest, Bucharest, Sofia, Belgrade,
        Zagreb, Tirana, Istanbul, Ankara, Izmir, Cairo, Casablanca, Tunis, Algiers, Nairobi, Lagos,
        Accra, Cape Town, Dakar, Addis Ababa, Dubai, Abu Dhabi, Doha, Amman, Beirut, Tel Aviv,
        Tehran, Baghdad, Karachi, Lahore, Delhi, New Delhi, Mumbai, Bangalore, Chennai, Kolkata,
        Kathmandu, Dhaka, Colombo, Bangkok, Hanoi, Ho Chi Minh City, Phnom Penh, Kuala Lumpur,
        Singapore, Jakarta, Manila, Hong Kong, Beijing, Shanghai, Shenzhen, Guangzhou, Chengdu,
        Xiamen, Hangzhou, Nanjing, Taipei, Seoul, Busan, Tokyo, Osaka, Kyoto, Sapporo, Sydney,
        Melbourne, Perth, Brisbane, Auckland, Wellington, Honolulu, Anchorage, Seattle, Portland,
        San Francisco, Los Angeles, San Diego, Las Vegas, Phoenix, Denver, Dallas, Houston, Austin,
        New Orleans, Nashville, Louisville, Jacksonville, Knoxville, Charlotte, Atlanta, Orlando,
        Miami, Boston, Charleston, Edmonton, Hamilton, Kingston, Washington, Philadelphia,
        New York, Newark, Buffalo, Chicago, Detroit, Cleveland, Milwaukee, Minneapolis,
        Indianapolis, Kansas City, Salt Lake City, Oklahoma City, Mexico City, Guatemala City,
        Panama City, Toronto, Montreal, Vancouver, Calgary, Ottawa, Quebec City, Havana, Bogota,
        Quito, Caracas, La Paz, Santiago, Buenos Aires, Montevideo, Sao Paulo, Rio de Janeiro,
        Minsk, Gdansk, Omsk, Murmansk, Irkutsk, Moscow, Kyiv, Vilnius, Riga, Tallinn""",
        """Strasbourg, Magdeburg, Luxembourg, Regensburg, Harrisburg, Greenville, Asheville,
        Huntsville, Gainesville, Townsville, Arlington, Lexington, Wilmington, Southampton,
        Galveston, Alexandria, Victoria, Pretoria, Valletta, Catania, Monrovia, Smolensk, Tomsk,
        Bryansk, Novosibirsk, Krasnoyarsk, Nagasaki, Kawasaki, Iowa City, Carson City,
        San Antonio, San Jose, New Haven, Santa Cruz, Los Mochis, Cape Coral, La Plata,
        Hyderabad, Islamabad, Ahmedabad, Zhengzhou, Lanzhou, Fuzhou, Nanchang""",
    ),
    "airline": Words(
        """United, Delta, American, Southwest, JetBlue, Spirit, Lufthansa, Air France, Air China,
        Air India, Air Canada, China Airlines, China Eastern, China Southern, Hainan Airlines,
        Shenzhen Airlines, Shanghai Airlines, Xiamen Airlines, Hong Kong Airlines,
        Singapore Airlines, Brussels Airlines, Cathay Pacific, British Airways, Qatar Airways,
        Turkish Airlines, Thai Airways, Kuwait Airways, Emirates, Qantas, Swiss, Iberia, Alitalia,
        Finnair, Icelandair, Ryanair, Wizz Air, easyJet, Eurowings, Germanwings, Smartwings,
        Tuifly, Virgin Atlantic,
        Alaska Airlines, Japan Airlines, All Nippon Airways, Korean Air, Austrian, Norwegian,
        Transavia, Flydubai, Jetstar, Volotea""",
        """Air Tahiti, Air Malta, Air Astana, Sunwings, Skywings, Kenya Airways, Jet Airways,
        Bangkok Airways, Vietnam Airlines, Sichuan Airlines, Transjet, Flyjet, Corsair,
        Aegean Airlines""",
    ),
    "class": Words(
        """first class, first, business class, business, economy class, economy, premium economy,
        coach, premium class""",
        "standard class, comfort class",
    ),
    "n": Words("1, 2, 3, 4, 5, 6, 7, 8, 9, 10, one, two, three, four, five, six, seven, eight"),
    "hour": Words(
        """1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, one, two, three, four, five, six, seven, eight,
        nine, ten, eleven"""
    ),
    "minutes": Words(",".join(f"{h}:{m:02}" for h in range(1, 13) for m in (0, 10, 15, 30, 45))),
    "late_minutes": Words(",".join(f"{h}:{m:02}" for h in range(13, 24) for m in (0, 15, 30, 45))),
    "short_hour": Words(",".join(f"{h}{half}" for h in range(1, 13) for half in ("am", "pm"))),
    "month": Words(_MONTHS.replace(" ", ",")),
    "nth": Words(_ORDINALS + "," + ",".join(f"{d}{_ending(d)}" for d in range(1, 29))),
    "number_day": Words(",".join(str(d) for d in range(1, 29))),
    "weekday": Words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "holiday": Words(
        "Christmas Eve, Christmas Day, Boxing Day, New Year's Day, Easter Sunday, Good Friday",
        "Labor Day, Thanksgiving, Easter Monday, Halloween",
    ),
    "day_part": Words("morning, afternoon, evening"),
    "person": Words(
        """wife, husband, brother, sister, mother, father, boss, aunt, uncle, daughter, son,
        cousin, neighbour, grandmother, best friend""",
        "nephew, stepmother, godfather, flatmate, fiancee",
    ),
    "first_name": Words(
        """Florence, Charlotte, Sydney, Austin, Orlando, Phoenix, Dallas, Sofia, Paris, April, June,
        May, Maria, Peter, Anna, Tom, Lena, Omar, Wei"""
    ),
    "event": Words(
        """wedding, conference, meeting, concert, funeral, birthday, holiday, trade fair, interview,
        exam, football match, opera, workshop, parade""",
        "graduation, christening, regatta, job interview, symposium",
    ),
    "paper": Words(
        "New York Times, Boston Globe, Washington Post, Chicago Tribune, London Gazette"
    ),
    "flight_number": Words(",".join(str(n) for n in range(107, 990, 13))),
    "price": Words(",".join(str(n) for n in range(150, 1000, 50))),
}
