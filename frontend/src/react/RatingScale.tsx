/** One dimension: a scale or a choice, as a group of radio buttons, unstyled. The arrow keys work as in any such group. */

import { useId } from "react";

export interface RatingScaleProps {
  label: string;
  /** The choices, in order. */
  options: readonly (number | string)[];
  value: number | string | undefined;
  onChange: (value: number | string) => void;
  className?: string | undefined;
}

export function RatingScale({ label, options, value, onChange, className }: RatingScaleProps) {
  const name = useId();
  return (
    <fieldset className={className}>
      <legend>{label}</legend>
      {options.map((option) => (
        <label key={option}>
          <input type="radio" name={name} checked={option === value} onChange={() => onChange(option)} />
          <span>{option}</span>
        </label>
      ))}
    </fieldset>
  );
}
