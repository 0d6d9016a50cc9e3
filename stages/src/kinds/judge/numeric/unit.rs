//! Words behind a number. Takes a word; gives the power of ten that it multiplies by, or the unit that it is.

/// Returns the exponent of ten of a word such as "million". `currency` says that the number is an amount of money, where "m" is a million.
pub(super) fn scale(word: &str, currency: bool) -> Option<i64> {
    Some(match word {
        "k" | "K" => 3,
        "M" => 6,
        "m" if currency => 6,
        "b" | "bn" if currency => 9,
        "B" | "bn" => 9,
        "T" | "t" if currency => 12,
        _ => match word.to_lowercase().as_str() {
            "hundred" => 2,
            "thousand" | "tausend" | "mille" | "mil" | "тысяч" | "тысячи" | "тыс" | "tisíc" => 3,
            "lakh" | "lakhs" => 5,
            "million" | "millions" | "mio" | "mn" | "mln" | "millionen" | "millones" | "milioni" | "milhões" | "миллиона"
            | "миллионов" | "млн" => 6,
            "crore" | "crores" => 7,
            "billion" | "billions" | "milliarden" | "milliard" | "milliards" | "миллиардов" | "млрд" => 9,
            "trillion" | "trillions" => 12,
            _ => return None,
        },
    })
}

/// A unit: what it measures, and how many of the first unit of its kind it has, as a decimal number.
pub(super) fn unit(word: &str) -> Option<(&'static str, &'static str)> {
    Some(match word {
        "mm" | "millimeters" | "millimetres" | "millimeter" | "millimetre" => ("length", "0.001"),
        "cm" | "centimeters" | "centimetres" | "centimeter" | "centimetre" => ("length", "0.01"),
        "m" | "meters" | "metres" | "meter" | "metre" => ("length", "1"),
        "km" | "kilometers" | "kilometres" | "kilometer" | "kilometre" => ("length", "1000"),
        "inch" | "inches" => ("length", "0.0254"),
        "ft" | "foot" | "feet" => ("length", "0.3048"),
        "yard" | "yards" | "yd" => ("length", "0.9144"),
        "mile" | "miles" | "mi" => ("length", "1609.344"),
        "mg" | "milligrams" | "milligram" => ("mass", "0.001"),
        "g" | "gram" | "grams" => ("mass", "1"),
        "kg" | "kilogram" | "kilograms" => ("mass", "1000"),
        "oz" | "ounce" | "ounces" => ("mass", "28.349523125"),
        "lb" | "lbs" | "pound" | "pounds" => ("mass", "453.59237"),
        "s" | "sec" | "secs" | "second" | "seconds" => ("time", "1"),
        "min" | "mins" | "minute" | "minutes" => ("time", "60"),
        "h" | "hr" | "hrs" | "hour" | "hours" => ("time", "3600"),
        "day" | "days" => ("time", "86400"),
        "week" | "weeks" => ("time", "604800"),
        "ml" | "milliliters" | "millilitres" => ("volume", "0.001"),
        "l" | "liter" | "liters" | "litre" | "litres" => ("volume", "1"),
        "cent" | "cents" => ("money", "0.01"),
        "dollar" | "dollars" | "usd" => ("money", "1"),
        _ => return None,
    })
}
