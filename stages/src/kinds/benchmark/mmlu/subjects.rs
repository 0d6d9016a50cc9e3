//! The published files of MMLU: a CSV file for each subject and split.

/// The subjects, with the number of questions in the test split. The split for few-shot prompts (`dev`) has five of each.
pub(super) const SUBJECTS: [(&str, usize); 57] = [
    ("abstract_algebra", 100),
    ("anatomy", 135),
    ("astronomy", 152),
    ("business_ethics", 100),
    ("clinical_knowledge", 265),
    ("college_biology", 144),
    ("college_chemistry", 100),
    ("college_computer_science", 100),
    ("college_mathematics", 100),
    ("college_medicine", 173),
    ("college_physics", 102),
    ("computer_security", 100),
    ("conceptual_physics", 235),
    ("econometrics", 114),
    ("electrical_engineering", 145),
    ("elementary_mathematics", 378),
    ("formal_logic", 126),
    ("global_facts", 100),
    ("high_school_biology", 310),
    ("high_school_chemistry", 203),
    ("high_school_computer_science", 100),
    ("high_school_european_history", 165),
    ("high_school_geography", 198),
    ("high_school_government_and_politics", 193),
    ("high_school_macroeconomics", 390),
    ("high_school_mathematics", 270),
    ("high_school_microeconomics", 238),
    ("high_school_physics", 151),
    ("high_school_psychology", 545),
    ("high_school_statistics", 216),
    ("high_school_us_history", 204),
    ("high_school_world_history", 237),
    ("human_aging", 223),
    ("human_sexuality", 131),
    ("international_law", 121),
    ("jurisprudence", 108),
    ("logical_fallacies", 163),
    ("machine_learning", 112),
    ("management", 103),
    ("marketing", 234),
    ("medical_genetics", 100),
    ("miscellaneous", 783),
    ("moral_disputes", 346),
    ("moral_scenarios", 895),
    ("nutrition", 306),
    ("philosophy", 311),
    ("prehistory", 324),
    ("professional_accounting", 282),
    ("professional_law", 1534),
    ("professional_medicine", 272),
    ("professional_psychology", 612),
    ("public_relations", 110),
    ("security_studies", 245),
    ("sociology", 201),
    ("us_foreign_policy", 100),
    ("virology", 166),
    ("world_religions", 171),
];
pub(super) const DEV: usize = 5;

/// The published splits. Each is a folder.
const SPLITS: [&str; 3] = ["test", "dev", "val"];

/// Returns the names of the published files.
pub(super) fn file_names() -> Vec<String> {
    let of_split = |split| SUBJECTS.iter().map(move |(subject, _)| format!("{subject}_{split}.csv"));
    SPLITS.into_iter().flat_map(of_split).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_subjects_are_all_there() {
        assert_eq!(SUBJECTS.iter().map(|(_, count)| count).sum::<usize>(), 14042);
        assert_eq!(file_names().len(), 3 * 57);
    }
}
