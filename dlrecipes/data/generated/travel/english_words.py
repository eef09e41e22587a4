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
        """London, Paris, Rome, Oslo, Lima, Madrid, Lisbon, Berlin, Vienna, Prague, Warsaw,
        Athens, Dublin, Edinburgh, Glasgow, Manchester, Amsterdam, Brussels, Copenhagen,
        Stockholm, Helsinki, Reykjavik, Hamburg, Augsburg, Freiburg, Salzburg, Gothenburg,
        Yekaterinburg, Pittsburgh, Johannesburg, St. Petersburg, Munich, Frankfurt, Cologne,
        Zurich, Geneva, Milan, Naples, Venice, Florence, Turin, Bologna, Barcelona, Valencia,
        Seville, Malaga, Porto, Lyon, Nice, Marseille, Bordeaux, Toulouse, Budapest,
        Bucharest, Sofia, Belgrade, Zagreb, Tirana, Istanbul, Ankara, Izmir, Cairo,
        Casablanca, Tunis, Algiers, Nairobi, Lagos, Accra, Cape Town, Dakar, Addis Ababa,
        Dubai, Abu Dhabi, Doha, Amman, Beirut, Tel Aviv, Tehran, Baghdad, Karachi, Lahore,
        Delhi, New Delhi, Mumbai, Bangalore, Chennai, Kolkata, Kathmandu, Dhaka, Colombo,
        Bangkok, Hanoi, Ho Chi Minh City, Phnom Penh, Kuala Lumpur, Singapore, Jakarta,
        Manila, Hong Kong, Beijing, Shanghai, Shenzhen, Guangzhou, Chengdu, Xiamen, Hangzhou,
        Nanjing, Taipei, Seoul, Busan, Tokyo, Osaka, Kyoto, Sapporo, Sydney, Melbourne, Perth,
        Brisbane, Auckland, Wellington, Honolulu, Anchorage, Seattle, Portland, San Francisco,
        Los Angeles, San Diego, Las Vegas, Phoenix, Denver, Dallas, Houston, Austin, New
        Orleans, Nashville, Louisville, Jacksonville, Knoxville, Charlotte, Atlanta, Orlando,
        Miami, Boston, Charleston, Edmonton, Hamilton, Kingston, Washington, Philadelphia, New
        York, Newark, Buffalo, Chicago, Detroit, Cleveland, Milwaukee, Minneapolis,
        Indianapolis, Kansas City, Salt Lake City, Oklahoma City, Mexico City, Guatemala City,
        Panama City, Toronto, Montreal, Vancouver, Calgary, Ottawa, Quebec City, Havana,
        Bogota, Quito, Caracas, La Paz, Santiago, Buenos Aires, Montevideo, Sao Paulo, Rio de
        Janeiro, Minsk, Gdansk, Omsk, Murmansk, Irkutsk, Moscow, Kyiv, Vilnius, Riga, Tallinn,
        Kabul, Luanda, Yerevan, Baku, Nassau, Manama, Thimphu, Sarajevo, Gaborone, Brasilia,
        Ouagadougou, Yaounde, Praia, Bangui, Kinshasa, Brazzaville, San Salvador, Asmara,
        Suva, Libreville, Banjul, Conakry, Georgetown, Port-au-Prince, Tegucigalpa,
        Bridgetown, Baghdad, Astana, Tarawa, Pristina, Bishkek, Vientiane, Maseru, Tripoli,
        Antananarivo, Lilongwe, Male, Bamako, Nouakchott, Port Louis, Chisinau, Monaco,
        Ulaanbaatar, Podgorica, Rabat, Maputo, Managua, Niamey, Skopje, Muscat, Port Moresby,
        Asuncion, Kigali, Apia, Riyadh, Belmopan, Freetown, Bratislava, Mogadishu, Juba,
        Khartoum, Paramaribo, Damascus, Dodoma, Lome, Port of Spain, Ashgabat, Kampala,
        Tashkent, Port Vila, Sanaa, Lusaka, Harare, Birmingham, Montgomery, Little Rock,
        Sacramento, Hartford, Savannah, Des Moines, Wichita, Lansing, Memphis, Jackson,
        Lincoln, Reno, Albuquerque, Albany, Raleigh, Durham, Fargo, Columbus, Cincinnati,
        Providence, El Paso, Salt Lake, Burlington, Richmond, Spokane, Tucson, Baltimore, Long
        Island, Fort Worth, Fort Myers, West Palm Beach, Santa Barbara, Grand Rapids, Palm
        Springs, Colorado Springs, Baton Rouge, Corpus Christi, Green Bay, St. Paul""",
        """Strasbourg, Magdeburg, Luxembourg, Regensburg, Harrisburg, Greenville, Asheville,
        Huntsville, Gainesville, Townsville, Arlington, Lexington, Wilmington, Southampton,
        Galveston, Alexandria, Victoria, Pretoria, Valletta, Catania, Monrovia, Smolensk,
        Tomsk, Bryansk, Novosibirsk, Krasnoyarsk, Nagasaki, Kawasaki, Iowa City, Carson City,
        San Antonio, San Jose, New Haven, Santa Cruz, Los Mochis, Cape Coral, La Plata,
        Hyderabad, Islamabad, Ahmedabad, Zhengzhou, Lanzhou, Fuzhou, Nanchang, Kuwait City,
        Grenada, Castries, Roseau, Andorra, Vaduz, Nicosia, Djibouti, Malabo, Bissau, Moroni,
        Bujumbura, Honiara, Majuro, Dushanbe, Dili, Funafuti, Santa Ana, Fort Wayne, South
        Bend, Rockford, Cedar Rapids, Daytona Beach, Long Branch, Bakersfield, Stockton,
        Norfolk""",
    ),
    "airline": Words(
        """United, Delta, American, Southwest, JetBlue, Spirit, Lufthansa, Air France, Air China,
        Air India, Air Canada, China Airlines, China Eastern, China Southern, Hainan Airlines,
        Shenzhen Airlines, Shanghai Airlines, Xiamen Airlines, Hong Kong Airlines, Singapore
        Airlines, Brussels Airlines, Cathay Pacific, British Airways, Qatar Airways, Turkish
        Airlines, Thai Airways, Kuwait Airways, Emirates, Qantas, Swiss, Iberia, Alitalia,
        Finnair, Icelandair, Ryanair, Wizz Air, easyJet, Eurowings, Germanwings, Smartwings,
        Tuifly, Virgin Atlantic, Alaska Airlines, Japan Airlines, All Nippon Airways, Korean
        Air, Austrian, Norwegian, Transavia, Flydubai, Jetstar, Volotea, KLM, SAS, TAP, LOT,
        BA, Avianca, Copa, Etihad, Saudia, Garuda, Oman Air, Azul, Gol, Condor, Widerøe,
        Frontier, Allegiant, Hawaiian, WestJet""",
        """Air Tahiti, Air Malta, Air Astana, Sunwings, Skywings, Kenya Airways, Jet Airways,
        Bangkok Airways, Vietnam Airlines, Sichuan Airlines, Transjet, Flyjet, Corsair,
        Aegean Airlines, ANA, Latam, Vueling, Air Europa, Breeze, Luxair""",
    ),
    "class": Words(
        """first class, first, business class, business, economy class, economy, premium economy,
        coach, premium class""",
        "standard class, comfort class",
    ),
    "n": Words(
        """1, 2, 3, 4, 5, 6, 7, 8, 9, 10, one, two, three, four, five, six, seven, eight, nine,
        ten, twelve"""
    ),
    "hour": Words(
        """1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, one, two, three, four, five, six, seven, eight,
        nine, ten, eleven"""
    ),
    "minutes": Words(",".join(f"{h}:{m:02}" for h in range(1, 13) for m in (0, 10, 15, 30, 45))),
    "late_minutes": Words(",".join(f"{h}:{m:02}" for h in range(13, 24) for m in (0, 15, 30, 45))),
    "short_hour": Words(",".join(f"{h}{half}" for h in range(1, 13) for half in ("am", "pm"))),
    "month": Words(_MONTHS.replace(" ", ",")),
    "nth": Words(_ORDINALS + "," + ",".join(f"{d}{_ending(d)}" for d in range(1, 29))),
    "short_month": Words("jan, feb, mar, apr, jun, jul, aug, sep, sept, oct, nov, dec"),
    "short_weekday": Words("mon, tue, tues, wed, thu, thur, fri, sat, sun"),
    "slash_date": Words(
        ",".join(f"{m}/{d}" for m in range(1, 13) for d in (2, 7, 11, 15, 19, 22, 28))
    ),
    "spoken_hour": Words(
        """five, six, seven, eight, nine, ten, eleven, twelve, one, two, three, four"""
    ),
    "ish_hour": Words("5ish, 6ish, 8ish, 9ish, noonish, sixish, nineish"),
    "airport": Words(
        """Heathrow, Gatwick, Luton, London City, JFK, LaGuardia, LAX, SFO, ORD, ATL, DFW, DEN,
        SEA, MIA, LAS, BOS, IAD, Dulles, Midway, Charles de Gaulle, CDG, Orly, Schiphol, AMS,
        Tegel, BER, FRA, MUC, ZRH, Barajas, MAD, BCN, Fiumicino, FCO, Malpensa, Arlanda,
        Kastrup, Haneda, HND, Incheon, Changi, Suvarnabhumi, BKK, DXB, IST, LHR, LGW, NYC, LA,
        DC, SF, Philly, Frisco, KL, Saigon, Bombay""",
        "Stansted, Ezeiza, Narita, NRT, Linate, EWR, PHX, YYZ, YVR, O'Hare, Chi-town, Kloten",
    ),
    "region": Words(
        """Spain, Portugal, Italy, Greece, France, Germany, Ireland, Scotland, Croatia, Turkey,
        Norway, Iceland, Poland, Egypt, Kenya, Tunisia, South Africa, India, Thailand,
        Vietnam, Japan, China, Korea, Australia, Canada, Mexico, Brazil, Argentina, Chile,
        Jamaica, Florida, California, Texas, Alaska, Sicily, Sardinia, Crete, Rhodes, Majorca,
        Madeira, Azores, Canaries, Cyprus, Sri Lanka, Bahamas, Caribbean, Goa, Phuket,
        Patagonia, Tuscany, Lapland, Asia, Africa""",
        "Malta, Peru, Maldives, Tasmania, Corsica, Costa Rica, Hawaii, Finland, Nepal, Seychelles",
    ),
    "number_day": Words(",".join(str(d) for d in range(1, 29))),
    "weekday": Words("Monday, Tuesday, Wednesday, Thursday, Friday, Saturday, Sunday"),
    "holiday": Words(
        """Christmas Eve, Christmas Day, Christmas, Easter, New Year, Boxing Day, New Year's Day,
        Easter Sunday, Good Friday""",
        "Labor Day, Thanksgiving, Easter Monday, Halloween, Diwali",
    ),
    "day_part": Words("morning, afternoon, evening"),
    "person": Words(
        """wife, husband, brother, sister, mother, father, boss, aunt, uncle, daughter, son,
        cousin, neighbour, grandmother, best friend""",
        "nephew, stepmother, godfather, flatmate, fiancee",
    ),
    "first_name": Words(
        """Florence, Charlotte, Sydney, Austin, Orlando, Phoenix, Dallas, Sofia, Paris, April,
        June, May, Maria, Peter, Anna, Tom, Lena, Omar, Wei"""
    ),
    "event": Words(
        """wedding, conference, meeting, concert, funeral, birthday, holiday, trade fair,
        interview, exam, football match, opera, workshop, parade""",
        "graduation, christening, regatta, job interview, symposium",
    ),
    "paper": Words(
        "New York Times, Boston Globe, Washington Post, Chicago Tribune, London Gazette"
    ),
    "several": Words(
        """2, 3, 4, 5, 6, 7, 8, 9, 10, two, three, four, five, six, seven, eight, nine, twelve"""
    ),
    "item": Words(
        """suitcase, backpack, stroller, wheelchair, skateboard, snowboard, cello, drum, tent,
        laptop, camera, helmet, wetsuit, bicycle, birthday cake, painting, plant, rabbit, parrot,
        puppy, dog, guitar case, fishing rod, sewing machine, wine bottle, oxygen tank, hair dryer,
        power bank, pocket knife, walking stick, trolley, lamp, violin""",
        """surfboard, trombone, hamster, car seat, souvenir, sewing kit, telescope, harp, snow
        globe""",
    ),
    "companion": Words(
        """baby, toddler, grandchild, niece, colleague, client, sister, nanny, lawyer, nurse,
        teacher, dentist, surgeon, assistant, student, bride, guest""",
        "grandson, plumber, godchild, roommate",
    ),
    "role": Words(
        """student, teacher, journalist, musician, nurse, engineer, surgeon, lawyer, soldier,
        pensioner, parent, member, tourist""",
        "violinist, carpenter, reporter",
    ),
    "occasion": Words(
        """wedding, funeral, reunion, festival, marathon, cruise, audition, tournament, exhibition,
        lecture, course, operation, hearing, rehearsal, baptism, party, honeymoon, sabbatical,
        internship, job, project, early meeting, client meeting, trial, ceremony""",
        "gala, retreat, playoff, choir practice, seminar",
    ),
    "place": Words(
        """hotel, villa, hostel, apartment, campsite, beach, museum, stadium, factory, embassy,
        university, hospital, office, resort, house, clinic""",
        "cottage, lighthouse, brewery",
    ),
    "ailment": Words(
        """peanut allergy, back pain, broken leg, sprained ankle, fear of flying, bad knee, cold,
        toothache""",
        "migraine, wheat allergy",
    ),
    "meal": Words(
        "vegan meal, kosher meal, blanket, pillow, power socket, headset, extra seat, newspaper",
        "halal meal, eye mask",
    ),
    "item_trait": Words(
        "big, small, heavy, oversized, fragile, old, new, cheap, expensive, broken, long, large",
        "bulky, antique",
    ),
    "person_trait": Words(
        """sick, tired, pregnant, disabled, elderly, young, vegetarian, hungry, nervous, flexible,
        late, early, busy, ready, happy, sad, angry, alone, tall""",
        "diabetic, spontaneous, weary",
    ),
    "occasion_trait": Words(
        """urgent, important, private, annual, weekly, sudden, medical, professional, long, short,
        small, big, new""",
        "formal, solemn",
    ),
    "place_trait": Words(
        """quiet, noisy, comfortable, cramped, clean, dirty, sunny, cold, hot, warm, snowy, rainy,
        close, distant, safe, cheap, expensive, busy, empty""",
        "gorgeous, tropical, affordable, spacious",
    ),
    "airline_trait": Words(
        """good, safe, reliable, expensive, cheap, comfortable, cramped, clean, dirty, slow, quick,
        professional, noisy, flexible, punctual, modern""",
        "affordable, strict, spacious, overbooked",
    ),
    "flight_number": Words(",".join(str(n) for n in range(107, 990, 13))),
    "price": Words(",".join(str(n) for n in range(150, 1000, 50))),
}
