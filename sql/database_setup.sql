-- Phase 1: the tables that iterable-sync reads, and seed data. Runs on MySQL 8.4 and 9.x and on
-- MariaDB 10.11 and later, in the database that is selected. `iterable-sync setup-db` applies it, with
-- what CUSTOMERS_TABLE, PAGE_VIEWS_TABLE and COLUMN_NAMES say in place of the names in backticks.

CREATE TABLE `customers` (
  `id` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `email` VARCHAR(255) NOT NULL,
  `first_name` VARCHAR(100) NULL,
  `last_name` VARCHAR(100) NULL,
  `plan_type` ENUM('free', 'basic', 'pro', 'enterprise') NOT NULL DEFAULT 'free',
  `candidate` VARCHAR(255) NULL,
  UNIQUE KEY customers_email (`email`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

CREATE TABLE `page_views` (
  `id` BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  `user_id` BIGINT NOT NULL,
  `page` ENUM('pricing', 'settings', 'features', 'home', 'blog') NOT NULL,
  `device` ENUM('mobile', 'desktop', 'tablet') NULL,
  `browser` VARCHAR(100) NULL,
  `location` VARCHAR(255) NULL,
  `event_time` TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
  -- Holds all that the rule's window function reads: it never touches the rows of those it drops.
  KEY page_views_rule (`user_id`, `page`, `event_time`),
  CONSTRAINT page_views_customer FOREIGN KEY (`user_id`) REFERENCES `customers` (`id`)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4;

INSERT INTO `customers` (`id`, `email`, `first_name`, `last_name`, `plan_type`, `candidate`) VALUES
  (1, 'sarah.johnson@email.com', 'Sarah', 'Johnson', 'pro', 'candidate-1'),
  (2, 'mike.chen@email.com', 'Mike', 'Chen', 'pro', 'candidate-2'),
  (3, 'emma.davis@email.com', 'Emma', NULL, 'pro', NULL),
  (4, 'john.smith@email.com', 'John', 'Smith', 'free', 'candidate-4'),
  (5, 'lisa.brown@email.com', 'Lisa', 'Brown', 'basic', 'candidate-5'),
  (6, 'david.wilson@email.com', 'David', 'Wilson', 'enterprise', 'candidate-6'),
  (7, 'anna.martinez@email.com', 'Anna', 'Martinez', 'pro', 'candidate-7'),
  (8, 'tom.anderson@email.com', 'Tom', 'Anderson', 'pro', 'candidate-8'),
  (9, 'kate.taylor@email.com', 'Kate', 'Taylor', 'pro', 'candidate-9'),
  (10, 'alex.moore@email.com', 'Alex', 'Moore', 'free', NULL);

-- Times are relative to now, and never at midnight's edge: the newest eligible views stay
-- eligible for days, and the old ones are old whatever the time of day is.
INSERT INTO `page_views` (`user_id`, `page`, `device`, `browser`, `location`, `event_time`) VALUES
  -- Eligible: Sarah has two views that count (the later one is sent) and a later one that does not.
  (1, 'pricing', 'desktop', 'Chrome', 'Austin, TX', NOW() - INTERVAL 2 DAY),
  (1, 'settings', 'mobile', 'Safari', 'Austin, TX', NOW() - INTERVAL 1 HOUR),
  (1, 'home', 'mobile', 'Safari', 'Austin, TX', NOW() - INTERVAL 30 MINUTE),
  -- Eligible: Mike, by pricing.
  (2, 'pricing', 'desktop', 'Firefox', 'Seattle, WA', NOW() - INTERVAL 3 HOUR),
  -- Eligible: Emma, with columns that are NULL.
  (3, 'settings', NULL, NULL, NULL, NOW() - INTERVAL 1 DAY),
  -- Not on the plan: free, basic, enterprise.
  (4, 'pricing', 'mobile', 'Chrome', 'Boston, MA', NOW() - INTERVAL 2 HOUR),
  (5, 'settings', 'tablet', 'Safari', 'Denver, CO', NOW() - INTERVAL 5 HOUR),
  (6, 'pricing', 'desktop', 'Edge', 'Chicago, IL', NOW() - INTERVAL 4 HOUR),
  -- On the plan, but other pages only.
  (7, 'home', 'desktop', 'Chrome', 'Miami, FL', NOW() - INTERVAL 1 HOUR),
  (7, 'features', 'desktop', 'Chrome', 'Miami, FL', NOW() - INTERVAL 50 MINUTE),
  (7, 'blog', 'desktop', 'Chrome', 'Miami, FL', NOW() - INTERVAL 40 MINUTE),
  -- On the plan, but too long ago.
  (8, 'pricing', 'mobile', 'Chrome', 'Portland, OR', NOW() - INTERVAL 10 DAY),
  (8, 'settings', 'mobile', 'Chrome', 'Portland, OR', NOW() - INTERVAL 30 DAY);
-- Kate (9) is on the plan and has no views; Alex (10) has neither.
